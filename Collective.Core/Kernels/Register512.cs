using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics;

namespace Collective.Kernels;

/// <summary>A register of 512 bits: AVX-512 on x64.</summary>
internal readonly struct Register512(Vector512<byte> lanes) : IRegister<Register512>
{
    private const MethodImplOptions Inline = MethodImplOptions.AggressiveInlining;

    private readonly Vector512<byte> _lanes = lanes;

    public static bool IsAccelerated => Vector512.IsHardwareAccelerated;

    public static int SizeBytes => Vector512<byte>.Count;

    [MethodImpl(Inline)]
    public static Register512 Load(ref readonly byte source, nuint offsetBytes) => new(Vector512.LoadUnsafe(in source, offsetBytes));

    [MethodImpl(Inline)]
    public void Store(ref byte destination, nuint offsetBytes) => _lanes.StoreUnsafe(ref destination, offsetBytes);

    [MethodImpl(Inline)]
    public static Register512 Broadcast<T>(T value) => Of(Vector512.Create(value));

    [MethodImpl(Inline)]
    public static Register512 operator &(Register512 left, Register512 right) => new(left._lanes & right._lanes);

    [MethodImpl(Inline)]
    public static Register512 operator |(Register512 left, Register512 right) => new(left._lanes | right._lanes);

    [MethodImpl(Inline)]
    public static Register512 operator ^(Register512 left, Register512 right) => new(left._lanes ^ right._lanes);

    [MethodImpl(Inline)]
    public static Register512 Add<T>(Register512 left, Register512 right) => Of(left.As<T>() + right.As<T>());

    [MethodImpl(Inline)]
    public static Register512 Subtract<T>(Register512 left, Register512 right) => Of(left.As<T>() - right.As<T>());

    [MethodImpl(Inline)]
    public static Register512 Multiply<T>(Register512 left, Register512 right) => Of(left.As<T>() * right.As<T>());

    [MethodImpl(Inline)]
    public static Register512 Divide<T>(Register512 left, Register512 right) => Of(left.As<T>() / right.As<T>());

    [MethodImpl(Inline)]
    public static Register512 Min<T>(Register512 left, Register512 right) => Of(Vector512.Min(left.As<T>(), right.As<T>()));

    [MethodImpl(Inline)]
    public static Register512 Max<T>(Register512 left, Register512 right) => Of(Vector512.Max(left.As<T>(), right.As<T>()));

    [MethodImpl(Inline)]
    public static Register512 Equal<T>(Register512 left, Register512 right) => Of(Vector512.Equals(left.As<T>(), right.As<T>()));

    [MethodImpl(Inline)]
    public static Register512 GreaterThan<T>(Register512 left, Register512 right) => Of(Vector512.GreaterThan(left.As<T>(), right.As<T>()));

    [MethodImpl(Inline)]
    public static Register512 Select<T>(Register512 mask, Register512 whenSet, Register512 whenClear)
        => Of(Vector512.ConditionalSelect(mask.As<T>(), whenSet.As<T>(), whenClear.As<T>()));

    [MethodImpl(Inline)]
    public static Register512 ShiftLeft32(Register512 value, int count) => Of(value.As<uint>() << count);

    [MethodImpl(Inline)]
    public static Register512 ShiftRight32(Register512 value, int count) => Of(value.As<uint>() >>> count);

    [MethodImpl(Inline)]
    public static Register512 SpreadSign16(Register512 value) => Of(value.As<short>() >> 15);

    [MethodImpl(Inline)]
    public static Register512 WidenLower<T>(Register512 value)
        => typeof(T) == typeof(byte) ? Of(Vector512.WidenLower(value.As<byte>()))
            : typeof(T) == typeof(ushort) ? Of(Vector512.WidenLower(value.As<ushort>()))
            : typeof(T) == typeof(uint) ? Of(Vector512.WidenLower(value.As<uint>()))
            : typeof(T) == typeof(float) ? Of(Vector512.WidenLower(value.As<float>()))
            : throw new NotSupportedException();

    [MethodImpl(Inline)]
    public static Register512 WidenUpper<T>(Register512 value)
        => typeof(T) == typeof(byte) ? Of(Vector512.WidenUpper(value.As<byte>()))
            : typeof(T) == typeof(ushort) ? Of(Vector512.WidenUpper(value.As<ushort>()))
            : typeof(T) == typeof(uint) ? Of(Vector512.WidenUpper(value.As<uint>()))
            : typeof(T) == typeof(float) ? Of(Vector512.WidenUpper(value.As<float>()))
            : throw new NotSupportedException();

    [MethodImpl(Inline)]
    public static Register512 Narrow<T>(Register512 lower, Register512 upper)
        => typeof(T) == typeof(byte) ? Of(Vector512.Narrow(lower.As<ushort>(), upper.As<ushort>()))
            : typeof(T) == typeof(ushort) ? Of(Vector512.Narrow(lower.As<uint>(), upper.As<uint>()))
            : typeof(T) == typeof(uint) ? Of(Vector512.Narrow(lower.As<ulong>(), upper.As<ulong>()))
            : typeof(T) == typeof(float) ? Of(Vector512.Narrow(lower.As<double>(), upper.As<double>()))
            : throw new NotSupportedException();

    [MethodImpl(Inline)]
    private static Register512 Of<T>(Vector512<T> lanes) => new(lanes.AsByte());

    [MethodImpl(Inline)]
    private Vector512<T> As<T>() => _lanes.As<byte, T>();
}
