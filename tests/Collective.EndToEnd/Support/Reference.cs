using System.Numerics;
using System.Runtime.InteropServices;

namespace Collective.EndToEnd.Support;

/// <summary>
/// What an all-reduce must give, bit for bit, worked out apart from the library: the chunk of rank r starts with r's elements and visits
/// r+1, r+2, … in ring order; each hop combines once and rounds once; average divides at the end.
/// </summary>
internal static class Reference
{
    /// <summary>The expected result for contributions in rank order.</summary>
    public static T[] AllReduce<T>(IReadOnlyList<T[]> byRank, ReduceOperation operation)
        where T : unmanaged
    {
        var fold = Fold<T>(operation);
        var (count, ranks) = (byRank[0].Length, byRank.Count);
        var result = new T[count];
        for (var chunk = 0; chunk < ranks; chunk++)
        {
            var (start, end) = (Start(chunk), Start(chunk + 1));
            for (var i = start; i < end; i++)
            {
                var value = byRank[chunk][i];
                for (var hop = 1; hop < ranks; hop++)
                {
                    value = fold(value, byRank[(chunk + hop) % ranks][i]);
                }

                result[i] = operation == ReduceOperation.Average ? Divide(value, ranks) : value;
            }
        }

        return result;

        int Start(int chunk) => (chunk * (count / ranks)) + Math.Min(chunk, count % ranks);
    }

    public static byte[] Bytes<T>(T[] values)
        where T : unmanaged
        => MemoryMarshal.AsBytes<T>(values).ToArray();

    private static Func<T, T, T> Fold<T>(ReduceOperation operation)
        where T : unmanaged
    {
        object fold = default(T) switch
        {
            byte => Fold<byte>(operation, (a, b) => (byte)(a + b), (a, b) => (byte)(a * b)),
            sbyte => Fold<sbyte>(operation, (a, b) => (sbyte)(a + b), (a, b) => (sbyte)(a * b)),
            short => Fold<short>(operation, (a, b) => (short)(a + b), (a, b) => (short)(a * b)),
            ushort => Fold<ushort>(operation, (a, b) => (ushort)(a + b), (a, b) => (ushort)(a * b)),
            int => Fold<int>(operation, (a, b) => a + b, (a, b) => a * b),
            uint => Fold<uint>(operation, (a, b) => a + b, (a, b) => a * b),
            long => Fold<long>(operation, (a, b) => a + b, (a, b) => a * b),
            ulong => Fold<ulong>(operation, (a, b) => a + b, (a, b) => a * b),
            float => Fold<float>(operation, (a, b) => a + b, (a, b) => a * b),
            double => Fold<double>(operation, (a, b) => a + b, (a, b) => a * b),
            Half => Fold<Half>(operation, (a, b) => (Half)((float)a + (float)b), (a, b) => (Half)((float)a * (float)b)),
            BFloat16 => (Func<BFloat16, BFloat16, BFloat16>)((a, b) => (BFloat16)Fold<float>(operation, (x, y) => x + y, (x, y) => x * y)((float)a, (float)b)),
            _ => throw new NotSupportedException(typeof(T).Name),
        };
        return (Func<T, T, T>)fold;
    }

    private static Func<T, T, T> Fold<T>(ReduceOperation operation, Func<T, T, T> sum, Func<T, T, T> product)
        where T : INumber<T>
        => operation switch
        {
            ReduceOperation.Sum or ReduceOperation.Average => sum,
            ReduceOperation.Product => product,
            ReduceOperation.Max => T.Max,
            ReduceOperation.Min => T.Min,
            _ => throw new NotSupportedException(operation.ToString()),
        };

    private static T Divide<T>(T sum, int ranks)
        where T : unmanaged
    {
        object quotient = sum switch
        {
            byte v => (byte)(v / ranks),
            sbyte v => (sbyte)(v / ranks),
            short v => (short)(v / ranks),
            ushort v => (ushort)(v / ranks),
            int v => v / ranks,
            uint v => v / (uint)ranks,
            long v => v / ranks,
            ulong v => v / (ulong)ranks,
            float v => v / ranks,
            double v => v / ranks,
            Half v => (Half)((float)v / ranks),
            BFloat16 v => (BFloat16)((float)v / ranks),
            _ => throw new NotSupportedException(typeof(T).Name),
        };
        return (T)quotient;
    }
}
