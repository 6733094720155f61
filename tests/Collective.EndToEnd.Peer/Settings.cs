using System.Globalization;

namespace Collective.EndToEnd.Peer;

/// <summary>What a test tells a peer process on its command line, as <c>--name value</c>.</summary>
internal sealed record Settings
{
    public required string Master { get; init; }

    public int MinimumWorldSize { get; init; } = 1;

    /// <summary>Protocol point at which the process kills itself, and at which occurrence of it; null: never.</summary>
    public (string Point, int Occurrence)? DieAt { get; init; }

    /// <summary>Protocol point at which it shuts all its data connections down once.</summary>
    public (string Point, int Occurrence)? BreakLinksAt { get; init; }

    /// <summary>Protocol point at which it stops itself (SIGSTOP).</summary>
    public (string Point, int Occurrence)? StopAt { get; init; }

    /// <summary>Protocol point at which whoever passes waits until "release" arrives on standard input.</summary>
    public string? HoldAt { get; init; }

    /// <summary>Bytes of a shared state that is synchronised once, instead of rounds; 0: rounds.</summary>
    public int SyncBytes { get; init; }

    /// <summary>Whether this peer takes the shared state or gives it.</summary>
    public bool Takes { get; init; }

    /// <summary>Leave after so many rounds; 0: when told to.</summary>
    public int Rounds { get; init; }

    /// <summary>Elements of the bulk operation of each round; 0: no such operation.</summary>
    public int BulkElements { get; init; }

    /// <summary>Ask whether peers are pending in each round.</summary>
    public bool AskPending { get; init; }

    /// <summary>Begin the first round, and count protocol points, only when "go" arrives on standard input.</summary>
    public bool WaitForGo { get; init; }

    public static Settings Parse(string[] arguments)
    {
        var settings = new Settings { Master = "" };
        for (var i = 0; i + 1 < arguments.Length; i += 2)
        {
            var value = arguments[i + 1];
            settings = arguments[i] switch
            {
                "--master" => settings with { Master = value },
                "--minimum-world-size" => settings with { MinimumWorldSize = Number(value) },
                "--die-at" => settings with { DieAt = Point(value) },
                "--break-links-at" => settings with { BreakLinksAt = Point(value) },
                "--stop-at" => settings with { StopAt = Point(value) },
                "--hold-at" => settings with { HoldAt = value },
                "--sync-bytes" => settings with { SyncBytes = Number(value) },
                "--takes" => settings with { Takes = bool.Parse(value) },
                "--rounds" => settings with { Rounds = Number(value) },
                "--bulk-elements" => settings with { BulkElements = Number(value) },
                "--ask-pending" => settings with { AskPending = bool.Parse(value) },
                "--wait-for-go" => settings with { WaitForGo = bool.Parse(value) },
                _ => throw new ArgumentException($"unknown argument {arguments[i]}"),
            };
        }

        return settings;
    }

    /// <summary><c>before-send:CollectiveDone#3</c>: the third time. Without a number the first.</summary>
    private static (string Point, int Occurrence) Point(string text)
    {
        var parts = text.Split('#');
        return (parts[0], parts.Length > 1 ? Number(parts[1]) : 1);
    }

    private static int Number(string text) => int.Parse(text, CultureInfo.InvariantCulture);
}
