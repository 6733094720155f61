using System.Buffers;
using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;

namespace Collective;

/// <summary>Typed memory as bytes, and the data type of a C# type.</summary>
internal static class Buffers
{
    public static DataType DataTypeOf<T>()
        where T : unmanaged
        => Type.GetTypeCode(typeof(T)) switch
        {
            _ when typeof(T).IsEnum => throw NoDataType(typeof(T)),
            TypeCode.Byte => DataType.UInt8,
            TypeCode.SByte => DataType.Int8,
            TypeCode.Int16 => DataType.Int16,
            TypeCode.UInt16 => DataType.UInt16,
            TypeCode.Int32 => DataType.Int32,
            TypeCode.UInt32 => DataType.UInt32,
            TypeCode.Int64 => DataType.Int64,
            TypeCode.UInt64 => DataType.UInt64,
            TypeCode.Single => DataType.Float32,
            TypeCode.Double => DataType.Float64,
            _ when typeof(T) == typeof(Half) => DataType.Float16,
            _ when typeof(T) == typeof(BFloat16) => DataType.BFloat16,
            _ => throw NoDataType(typeof(T)),
        };

    public static Memory<byte> AsBytes<T>(Memory<T> memory)
        where T : unmanaged
        => typeof(T) == typeof(byte) ? Unsafe.As<Memory<T>, Memory<byte>>(ref memory) : new ByteView<T>(memory).Memory;

    public static ReadOnlyMemory<byte> AsBytes<T>(ReadOnlyMemory<T> memory)
        where T : unmanaged
        => AsBytes(MemoryMarshal.AsMemory(memory));

    private static CollectiveException NoDataType(Type type)
        => new(ErrorCode.InvalidArgument, $"{type.Name} is no element type of a collective: use a signed or unsigned integer of 8 to 64 bits, Half, BFloat16, float or double");

    /// <summary>Sees elements as bytes; keeps nothing alive but the memory it views.</summary>
    private sealed class ByteView<T>(Memory<T> memory) : MemoryManager<byte>
        where T : unmanaged
    {
        public override Span<byte> GetSpan() => MemoryMarshal.AsBytes(memory.Span);

        public override unsafe MemoryHandle Pin(int elementIndex = 0)
        {
            var handle = memory.Pin();
            return new MemoryHandle((byte*)handle.Pointer + elementIndex, default, new Pinned(handle));
        }

        public override void Unpin()
        {
            // The handle unpins itself.
        }

        protected override void Dispose(bool disposing)
        {
            // Owns nothing.
        }

        private sealed class Pinned(MemoryHandle handle) : IPinnable
        {
            public MemoryHandle Pin(int elementIndex) => throw new InvalidOperationException();

            public void Unpin() => handle.Dispose();
        }
    }
}
