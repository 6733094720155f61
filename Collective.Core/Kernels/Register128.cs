using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics;

namespace Collective.Kernels;

/// <summary>A register of 128 bits: NEON on ARM64, SSE on x64.</summary>
internal readonly struct Register128(Vector128<byte> lanes) : IRegister<Register128>
{
    private const MethodImplOptions Inline = MethodImplOptions.AggressiveInlining;

    private readonly Vector128<byte> _lanes = lanes;

    public static bool IsAccelerated => Vector128.IsHardwareAccelerated;

    /// <summary>The register itself.</summary>
    public Vector128<byte> Lanes => _lanes;

    public static int SizeBytes => Vector128<byte>.Count;

    [MethodImpl(Inline)]
    public static Register128 Load(ref readonly byte source, nuint offsetBytes) => new(Vector128.LoadUnsafe(in source, offsetBytes));

    [MethodImpl(Inline)]
    public void Store(ref byte destination, nuint offsetBytes) => _lanes.StoreUnsafe(ref destination, offsetBytes);

    [MethodImpl(Inline)]
    public static Register128 Broadcast<T>(T value) => Of(Vector128.Create(value));

    [MethodImpl(Inline)]
    public static Register128 operator &(Register128 left, Register128 right) => new(left._lanes & right._lanes);

    [MethodImpl(Inline)]
    public static Register128 operator |(Register128 left, Register128 right) => new(left._lanes | right._lanes);

    [MethodImpl(Inline)]
    public static Register128 operator ^(Register128 left, Register128 right) => new(left._lanes ^ right._lanes);

    [MethodImpl(Inline)]
    public static Register128 Add<T>(Register128 left, Register128 right) => Of(left.As<T>() + right.As<T>());

    [MethodImpl(Inline)]
    public static Register128 Subtract<T>(Register128 left, Register128 right) => Of(left.As<T>() - right.As<T>());

    [MethodImpl(Inline)]
    public static Register128 Multiply<T>(Register128 left, Register128 right) => Of(left.As<T>() * right.As<T>());

    [MethodImpl(Inline)]
    public static Register128 Divide<T>(Register128 left, Register128 right) => Of(left.As<T>() / right.As<T>());

    [MethodImpl(Inline)]
    public static Register128 Min<T>(Register128 left, Register128 right) => Of(Vector128.Min(left.As<T>(), right.As<T>()));

    [MethodImpl(Inline)]
    public static Register128 Max<T>(Register128 left, Register128 right) => Of(Vector128.Max(left.As<T>(), right.As<T>()));

    [MethodImpl(Inline)]
    public static Register128 Equal<T>(Register128 left, Register128 right) => Of(Vector128.Equals(left.As<T>(), right.As<T>()));

    [MethodImpl(Inline)]
    public static Register128 GreaterThan<T>(Register128 left, Register128 right) => Of(Vector128.GreaterThan(left.As<T>(), right.As<T>()));

    [MethodImpl(Inline)]
    public static Register128 Select<T>(Register128 mask, Register128 whenSet, Register128 whenClear)
        => Of(Vector128.ConditionalSelect(mask.As<T>(), whenSet.As<T>(), whenClear.As<T>()));

    [MethodImpl(Inline)]
    public static Register128 ShiftLeft32(Register128 value, int count) => Of(value.As<uint>() << count);

    [MethodImpl(Inline)]
    public static Register128 ShiftRight32(Register128 value, int count) => Of(value.As<uint>() >>> count);

    [MethodImpl(Inline)]
    public static Register128 SpreadSign16(Register128 value) => Of(value.As<short>() >> 15);

    [MethodImpl(Inline)]
    public static Register128 WidenLower<T>(Register128 value)
        => typeof(T) == typeof(byte) ? Of(Vector128.WidenLower(value.As<byte>()))
            : typeof(T) == typeof(ushort) ? Of(Vector128.WidenLower(value.As<ushort>()))
            : typeof(T) == typeof(uint) ? Of(Vector128.WidenLower(value.As<uint>()))
            : typeof(T) == typeof(float) ? Of(Vector128.WidenLower(value.As<float>()))
            : throw new NotSupportedException();

    [MethodImpl(Inline)]
    public static Register128 WidenUpper<T>(Register128 value)
        => typeof(T) == typeof(byte) ? Of(Vector128.WidenUpper(value.As<byte>()))
            : typeof(T) == typeof(ushort) ? Of(Vector128.WidenUpper(value.As<ushort>()))
            : typeof(T) == typeof(uint) ? Of(Vector128.WidenUpper(value.As<uint>()))
            : typeof(T) == typeof(float) ? Of(Vector128.WidenUpper(value.As<float>()))
            : throw new NotSupportedException();

    [MethodImpl(Inline)]
    public static Register128 Narrow<T>(Register128 lower, Register128 upper)
        => typeof(T) == typeof(byte) ? Of(Vector128.Narrow(lower.As<ushort>(), upper.As<ushort>()))
            : typeof(T) == typeof(ushort) ? Of(Vector128.Narrow(lower.As<uint>(), upper.As<uint>()))
            : typeof(T) == typeof(uint) ? Of(Vector128.Narrow(lower.As<ulong>(), upper.As<ulong>()))
            : typeof(T) == typeof(float) ? Of(Vector128.Narrow(lower.As<double>(), upper.As<double>()))
            : throw new NotSupportedException();

    [MethodImpl(Inline)]
    private static Register128 Of<T>(Vector128<T> lanes) => new(lanes.AsByte());

    [MethodImpl(Inline)]
    private Vector128<T> As<T>() => _lanes.As<byte, T>();
}
