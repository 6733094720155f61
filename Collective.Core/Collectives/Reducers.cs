using System.Runtime.InteropServices;
using Collective.Kernels;

namespace Collective.Collectives;

/// <summary>The reducer of each data type and operation; made once, shared by all.</summary>
internal static class Reducers
{
    private static readonly IReducer[,] Table = Build();

    public static IReducer For(DataType type, ReduceOperation operation) => Table[(int)type, (int)operation];

    private static IReducer[,] Build()
    {
        var table = new IReducer[(int)DataType.Float64 + 1, (int)ReduceOperation.Min + 1];
        Fill<byte>(table, DataType.UInt8);
        Fill<sbyte>(table, DataType.Int8);
        Fill<short>(table, DataType.Int16);
        Fill<ushort>(table, DataType.UInt16);
        Fill<uint>(table, DataType.UInt32);
        Fill<int>(table, DataType.Int32);
        Fill<ulong>(table, DataType.UInt64);
        Fill<long>(table, DataType.Int64);
        Fill<Half>(table, DataType.Float16);
        Fill<BFloat16>(table, DataType.BFloat16);
        Fill<float>(table, DataType.Float32);
        Fill<double>(table, DataType.Float64);
        return table;
    }

    private static void Fill<T>(IReducer[,] table, DataType type)
        where T : unmanaged
    {
        var row = (int)type;
        table[row, (int)ReduceOperation.Sum] = new Reducer<T>(ReduceKernels.Sum<T>, average: false);
        table[row, (int)ReduceOperation.Average] = new Reducer<T>(ReduceKernels.Sum<T>, average: true);
        table[row, (int)ReduceOperation.Product] = new Reducer<T>(ReduceKernels.Product<T>, average: false);
        table[row, (int)ReduceOperation.Max] = new Reducer<T>(ReduceKernels.Max<T>, average: false);
        table[row, (int)ReduceOperation.Min] = new Reducer<T>(ReduceKernels.Min<T>, average: false);
    }

    private delegate void Kernel<T>(Span<T> accumulator, ReadOnlySpan<T> operand);

    private sealed class Reducer<T>(Kernel<T> kernel, bool average) : IReducer
        where T : unmanaged
    {
        public void Accumulate(Span<byte> accumulator, ReadOnlySpan<byte> operand)
            => kernel(MemoryMarshal.Cast<byte, T>(accumulator), MemoryMarshal.Cast<byte, T>(operand));

        public void Finish(Span<byte> accumulator, int contributors)
        {
            if (average)
            {
                ReduceKernels.Divide(MemoryMarshal.Cast<byte, T>(accumulator), contributors);
            }
        }
    }
}
