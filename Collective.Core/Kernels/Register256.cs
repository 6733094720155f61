using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics;

namespace Collective.Kernels;

/// <summary>A register of 256 bits: AVX2 on x64.</summary>
internal readonly struct Register256(Vector256<byte> lanes) : IRegister<Register256>
{
    private const MethodImplOptions Inline = MethodImplOptions.AggressiveInlining;

    private readonly Vector256<byte> _lanes = lanes;

    public static bool IsAccelerated => Vector256.IsHardwareAccelerated;

    public static int SizeBytes => Vector256<byte>.Count;

    [MethodImpl(Inline)]
    public static Register256 Load(ref readonly byte source, nuint offsetBytes) => new(Vector256.LoadUnsafe(in source, offsetBytes));

    [MethodImpl(Inline)]
    public void Store(ref byte destination, nuint offsetBytes) => _lanes.StoreUnsafe(ref destination, offsetBytes);

    [MethodImpl(Inline)]
    public static Register256 Broadcast<T>(T value) => Of(Vector256.Create(value));

    [MethodImpl(Inline)]
    public static Register256 operator &(Register256 left, Register256 right) => new(left._lanes & right._lanes);

    [MethodImpl(Inline)]
    public static Register256 operator |(Register256 left, Register256 right) => new(left._lanes | right._lanes);

    [MethodImpl(Inline)]
    public static Register256 operator ^(Register256 left, Register256 right) => new(left._lanes ^ right._lanes);

    [MethodImpl(Inline)]
    public static Register256 Add<T>(Register256 left, Register256 right) => Of(left.As<T>() + right.As<T>());

    [MethodImpl(Inline)]
    public static Register256 Subtract<T>(Register256 left, Register256 right) => Of(left.As<T>() - right.As<T>());

    [MethodImpl(Inline)]
    public static Register256 Multiply<T>(Register256 left, Register256 right) => Of(left.As<T>() * right.As<T>());

    [MethodImpl(Inline)]
    public static Register256 Divide<T>(Register256 left, Register256 right) => Of(left.As<T>() / right.As<T>());

    [MethodImpl(Inline)]
    public static Register256 Min<T>(Register256 left, Register256 right) => Of(Vector256.Min(left.As<T>(), right.As<T>()));

    [MethodImpl(Inline)]
    public static Register256 Max<T>(Register256 left, Register256 right) => Of(Vector256.Max(left.As<T>(), right.As<T>()));

    [MethodImpl(Inline)]
    public static Register256 Equal<T>(Register256 left, Register256 right) => Of(Vector256.Equals(left.As<T>(), right.As<T>()));

    [MethodImpl(Inline)]
    public static Register256 GreaterThan<T>(Register256 left, Register256 right) => Of(Vector256.GreaterThan(left.As<T>(), right.As<T>()));

    [MethodImpl(Inline)]
    public static Register256 Select<T>(Register256 mask, Register256 whenSet, Register256 whenClear)
        => Of(Vector256.ConditionalSelect(mask.As<T>(), whenSet.As<T>(), whenClear.As<T>()));

    [MethodImpl(Inline)]
    public static Register256 ShiftLeft32(Register256 value, int count) => Of(value.As<uint>() << count);

    [MethodImpl(Inline)]
    public static Register256 ShiftRight32(Register256 value, int count) => Of(value.As<uint>() >>> count);

    [MethodImpl(Inline)]
    public static Register256 SpreadSign16(Register256 value) => Of(value.As<short>() >> 15);

    [MethodImpl(Inline)]
    public static Register256 WidenLower<T>(Register256 value)
        => typeof(T) == typeof(byte) ? Of(Vector256.WidenLower(value.As<byte>()))
            : typeof(T) == typeof(ushort) ? Of(Vector256.WidenLower(value.As<ushort>()))
            : typeof(T) == typeof(uint) ? Of(Vector256.WidenLower(value.As<uint>()))
            : typeof(T) == typeof(float) ? Of(Vector256.WidenLower(value.As<float>()))
            : throw new NotSupportedException();

    [MethodImpl(Inline)]
    public static Register256 WidenUpper<T>(Register256 value)
        => typeof(T) == typeof(byte) ? Of(Vector256.WidenUpper(value.As<byte>()))
            : typeof(T) == typeof(ushort) ? Of(Vector256.WidenUpper(value.As<ushort>()))
            : typeof(T) == typeof(uint) ? Of(Vector256.WidenUpper(value.As<uint>()))
            : typeof(T) == typeof(float) ? Of(Vector256.WidenUpper(value.As<float>()))
            : throw new NotSupportedException();

    [MethodImpl(Inline)]
    public static Register256 Narrow<T>(Register256 lower, Register256 upper)
        => typeof(T) == typeof(byte) ? Of(Vector256.Narrow(lower.As<ushort>(), upper.As<ushort>()))
            : typeof(T) == typeof(ushort) ? Of(Vector256.Narrow(lower.As<uint>(), upper.As<uint>()))
            : typeof(T) == typeof(uint) ? Of(Vector256.Narrow(lower.As<ulong>(), upper.As<ulong>()))
            : typeof(T) == typeof(float) ? Of(Vector256.Narrow(lower.As<double>(), upper.As<double>()))
            : throw new NotSupportedException();

    [MethodImpl(Inline)]
    private static Register256 Of<T>(Vector256<T> lanes) => new(lanes.AsByte());

    [MethodImpl(Inline)]
    private Vector256<T> As<T>() => _lanes.As<byte, T>();
}
