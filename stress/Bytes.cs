using System.Globalization;

namespace Collective.Stress;

/// <summary>Sizes as people write and read them: <c>4</c>, <c>4KiB</c>, <c>1MiB</c>, <c>2GiB</c>.</summary>
internal static class Bytes
{
    private static readonly (string Suffix, long Factor)[] _units = [("GiB", 1L << 30), ("MiB", 1L << 20), ("KiB", 1L << 10), ("B", 1)];

    /// <summary>The size with a unit that suits it.</summary>
    public static string Text(long bytes)
    {
        var (suffix, factor) = Array.Find(_units, unit => bytes >= unit.Factor || unit.Factor == 1);
        var value = (double)bytes / factor;
        return value.ToString(bytes % factor == 0 ? "0" : "0.0", CultureInfo.InvariantCulture) + " " + suffix;
    }

    /// <summary>The number of bytes that <paramref name="text"/> names; null if it names none.</summary>
    public static long? Parse(string text)
    {
        var trimmed = text.Trim();
        var unit = Array.Find(_units, unit => trimmed.EndsWith(unit.Suffix, StringComparison.OrdinalIgnoreCase));
        var digits = unit.Suffix is null ? trimmed : trimmed[..^unit.Suffix.Length].TrimEnd();
        var isNumber = long.TryParse(digits, NumberStyles.None, CultureInfo.InvariantCulture, out var count);
        var factor = unit.Suffix is null ? 1 : unit.Factor;
        return isNumber && count <= long.MaxValue / factor ? count * factor : null;
    }
}
