using System.Globalization;
using System.IO.Compression;

namespace Collective.Stress.Demo;

/// <summary>Images of handwritten digits with the digit each one shows.</summary>
internal sealed class DigitImages
{
    /// <summary>Points of one image: 8 rows of 8.</summary>
    public const int PixelCount = Side * Side;

    private const int Side = 8;

    private readonly float[] _pixels;
    private readonly byte[] _labels;

    public DigitImages(float[] pixels, byte[] labels)
    {
        ArgumentOutOfRangeException.ThrowIfNotEqual(pixels.Length, labels.Length * PixelCount);
        _pixels = pixels;
        _labels = labels;
    }

    public int Count => _labels.Length;

    /// <summary>The points of one image, row by row, from 0 (white) to 1 (black).</summary>
    public ReadOnlySpan<float> Pixels(int index) => _pixels.AsSpan(index * PixelCount, PixelCount);

    /// <summary>The digit that was written, 0 to 9.</summary>
    public int Label(int index) => _labels[index];

    /// <summary>
    /// Each image five times: as it is, and moved by one point to either side, up and down. A digit stays what it is when it
    /// is moved, and a network that was shown this reads about 2 % more of the digits it has never seen.
    /// </summary>
    public DigitImages WithMovedCopies()
    {
        ReadOnlySpan<(int Right, int Down)> moves = [(0, 0), (1, 0), (-1, 0), (0, 1), (0, -1)];
        var pixels = new float[moves.Length * _pixels.Length];
        var labels = new byte[moves.Length * Count];
        for (var copy = 0; copy < labels.Length; copy++)
        {
            var (right, down) = moves[copy % moves.Length];
            labels[copy] = _labels[copy / moves.Length];
            Move(Pixels(copy / moves.Length), pixels.AsSpan(copy * PixelCount, PixelCount), right, down);
        }

        return new DigitImages(pixels, labels);
    }

    private static void Move(ReadOnlySpan<float> source, Span<float> destination, int right, int down)
    {
        for (var row = 0; row < Side; row++)
        {
            for (var column = 0; column < Side; column++)
            {
                var (fromRow, fromColumn) = (row - down, column - right);
                var isInside = fromRow is >= 0 and < Side && fromColumn is >= 0 and < Side;
                destination[row * Side + column] = isInside ? source[fromRow * Side + fromColumn] : 0;
            }
        }
    }
}

/// <summary>The data set that ships with the demo (see data/README.md), split into images to learn from and images to be tested on.</summary>
internal sealed record Digits(DigitImages Training, DigitImages Test)
{
    private const string ResourceName = "digits.csv.gz";
    private const float DarkestPixel = 16;

    // Every fifth image is kept for the test and never trained on.
    private const int TestEvery = 5;

    /// <summary>Reads the embedded data set: the same split for everybody.</summary>
    public static Digits Load()
    {
        var training = new Builder();
        var test = new Builder();
        using var compressed = typeof(Digits).Assembly.GetManifestResourceStream(ResourceName)
            ?? throw new InvalidOperationException($"The resource {ResourceName} is missing from the program.");
        using var reader = new StreamReader(new GZipStream(compressed, CompressionMode.Decompress));
        for (var index = 0; reader.ReadLine() is { } line; index++)
        {
            (index % TestEvery == TestEvery - 1 ? test : training).Add(line);
        }

        return new Digits(training.Build(), test.Build());
    }

    private sealed class Builder
    {
        private readonly List<float> _pixels = [];
        private readonly List<byte> _labels = [];

        public void Add(string line)
        {
            var fields = line.Split(',');
            foreach (var field in fields.AsSpan(0, fields.Length - 1))
            {
                _pixels.Add(float.Parse(field, CultureInfo.InvariantCulture) / DarkestPixel);
            }

            _labels.Add(byte.Parse(fields[^1], CultureInfo.InvariantCulture));
        }

        public DigitImages Build() => new([.. _pixels], [.. _labels]);
    }
}
