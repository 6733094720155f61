using System.CommandLine;
using System.Globalization;
using System.Runtime.InteropServices;
using Collective.Collectives;
using Collective.Kernels;
using Collective.Protocol;

namespace Collective.Stress.Bench;

/// <summary>The subcommand <c>kernels</c>: what one core does to bytes of float32 in the cache and in memory.</summary>
internal static class KernelCommand
{
    private const int CachedBytes = 256 * 1024;
    private const int MemoryBytes = 64 * 1024 * 1024;
    private const int SegmentBytes = 1024 * 1024;
    private const int Repetitions = 5;

    private static readonly TimeSpan _repetitionTime = TimeSpan.FromMilliseconds(40);

    public static Command Create()
    {
        var command = new Command("kernels", "Time the quantisation of float32 on one core, in GB of float32 per second of processor time, beside a sum.");
        command.SetAction(_ =>
        {
            Run();
            return ExitCodes.Passed;
        });
        return command;
    }

    private static void Run()
    {
        Console.Out.WriteLine("                                256 KiB    64 MiB");
        Print("sum", bytes =>
        {
            var (left, right) = (Values(bytes), Values(bytes));
            return () => ReduceKernels.Sum<float>(left, right);
        });
        foreach (var type in new[] { DataType.UInt8, DataType.UInt16, DataType.UInt32 })
        {
            foreach (var algorithm in new[] { QuantizationAlgorithm.MinMax, QuantizationAlgorithm.ZeroPointScale })
            {
                var quantization = new Quantization(algorithm, type);
                var codec = Codecs.For(new CollectiveDescriptor(1, DataType.Float32, ReduceOperation.Sum, quantization.ToByte()))!;
                Print($"encode {quantization}", bytes =>
                {
                    var (values, piece) = (Values(bytes), new byte[codec.PieceBytes(bytes / sizeof(float))]);
                    return () => InSegments(codec, values, piece, decode: false);
                });
                Print($"decode {quantization}", bytes =>
                {
                    var (values, piece) = (Values(bytes), new byte[codec.PieceBytes(bytes / sizeof(float))]);
                    InSegments(codec, values, piece, decode: false);
                    return () => InSegments(codec, values, piece, decode: true);
                });
            }
        }
    }

    /// <summary>As the ring does it: piece by piece, so that what several passes go over stays in the cache.</summary>
    private static void InSegments(IPieceCodec codec, float[] values, byte[] pieces, bool decode)
    {
        var all = MemoryMarshal.AsBytes(values.AsSpan());
        for (var start = 0; start < all.Length; start += SegmentBytes)
        {
            var segment = all.Slice(start, Math.Min(SegmentBytes, all.Length - start));
            var elements = segment.Length / sizeof(float);
            var piece = pieces.AsSpan(start / SegmentBytes * (codec.PieceBytes(elements) - AffineMap.Bytes), codec.PieceBytes(elements));
            if (decode)
            {
                codec.Decode(piece, 0, segment);
            }
            else
            {
                codec.Encode(segment, piece);
            }
        }
    }

    private static void Print(string name, Func<int, Action> prepare)
        => Console.Out.WriteLine(string.Create(CultureInfo.InvariantCulture, $"{name,-30} {Rate(CachedBytes, prepare(CachedBytes)),8:F1}  {Rate(MemoryBytes, prepare(MemoryBytes)),8:F1}"));

    /// <summary>Processor time of this process counts: what others do on the machine does not.</summary>
    private static double Rate(int bytes, Action run)
    {
        run();
        var best = 0.0;
        for (var repetition = 0; repetition < Repetitions; repetition++)
        {
            var started = Environment.CpuUsage.TotalTime;
            var runs = 0;
            TimeSpan taken;
            do
            {
                run();
                runs++;
                taken = Environment.CpuUsage.TotalTime - started;
            }
            while (taken < _repetitionTime);
            best = Math.Max(best, (double)bytes * runs / taken.TotalNanoseconds);
        }

        return best;
    }

    private static float[] Values(int bytes)
    {
        var random = new Random(1);
        var values = new float[bytes / sizeof(float)];
        for (var i = 0; i < values.Length; i++)
        {
            values[i] = random.NextSingle() - 0.5f;
        }

        return values;
    }
}
