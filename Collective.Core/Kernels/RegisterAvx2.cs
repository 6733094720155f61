using System.Diagnostics;
using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics;
using System.Runtime.Intrinsics.X86;

namespace Collective.Kernels;

/// <summary>
/// A register of 256 bits where code is compiled before the processor is known: there <see cref="Vector256"/> is software, and only the instructions
/// themselves, behind a check at run time, are what they say. Lanes that AVX2 has no instruction for are done in halves.
/// </summary>
internal readonly struct RegisterAvx2(Vector256<byte> lanes) : IRegister<RegisterAvx2>
{
    private const MethodImplOptions Inline = MethodImplOptions.AggressiveInlining;

    private readonly Vector256<byte> _lanes = lanes;

    /// <summary>A just-in-time compiler knows the processor, and has <see cref="Register256"/>.</summary>
    public static bool IsAccelerated => !Vector256.IsHardwareAccelerated && Avx2.IsSupported;

    public static int SizeBytes => 32;

    [MethodImpl(Inline)]
    public static RegisterAvx2 Load(ref readonly byte source, nuint offsetBytes)
        => new(Unsafe.ReadUnaligned<Vector256<byte>>(in Unsafe.AddByteOffset(ref Unsafe.AsRef(in source), offsetBytes)));

    [MethodImpl(Inline)]
    public void Store(ref byte destination, nuint offsetBytes) => Unsafe.WriteUnaligned(ref Unsafe.AddByteOffset(ref destination, offsetBytes), _lanes);

    [MethodImpl(Inline)]
    public static RegisterAvx2 Broadcast<T>(T value)
        => Unsafe.SizeOf<T>() == 4 ? Of(Avx2.BroadcastScalarToVector256(Vector128.CreateScalarUnsafe(Unsafe.BitCast<T, int>(value)))) : BroadcastOther(value);

    [MethodImpl(Inline)]
    public static RegisterAvx2 operator &(RegisterAvx2 left, RegisterAvx2 right) => new(Avx2.And(left._lanes, right._lanes));

    [MethodImpl(Inline)]
    public static RegisterAvx2 operator |(RegisterAvx2 left, RegisterAvx2 right) => new(Avx2.Or(left._lanes, right._lanes));

    [MethodImpl(Inline)]
    public static RegisterAvx2 operator ^(RegisterAvx2 left, RegisterAvx2 right) => new(Avx2.Xor(left._lanes, right._lanes));

    [MethodImpl(Inline)]
    public static RegisterAvx2 Add<T>(RegisterAvx2 left, RegisterAvx2 right)
        => typeof(T) == typeof(float) ? Of(Avx.Add(left.As<float>(), right.As<float>())) : typeof(T) == typeof(uint) ? Of(Avx2.Add(left.As<uint>(), right.As<uint>())) : AddOther<T>(left, right);

    [MethodImpl(Inline)]
    public static RegisterAvx2 Subtract<T>(RegisterAvx2 left, RegisterAvx2 right)
        => typeof(T) == typeof(float) ? Of(Avx.Subtract(left.As<float>(), right.As<float>())) : typeof(T) == typeof(uint) ? Of(Avx2.Subtract(left.As<uint>(), right.As<uint>())) : SubtractOther<T>(left, right);

    [MethodImpl(Inline)]
    public static RegisterAvx2 Multiply<T>(RegisterAvx2 left, RegisterAvx2 right)
        => typeof(T) == typeof(float) ? Of(Avx.Multiply(left.As<float>(), right.As<float>())) : MultiplyOther<T>(left, right);

    [MethodImpl(Inline)]
    public static RegisterAvx2 Divide<T>(RegisterAvx2 left, RegisterAvx2 right)
        => typeof(T) == typeof(float) ? Of(Avx.Divide(left.As<float>(), right.As<float>()))
        : typeof(T) == typeof(double) ? Of(Avx.Divide(left.As<double>(), right.As<double>()))
        : Halves(Register128.Divide<T>(left.Lower, right.Lower), Register128.Divide<T>(left.Upper, right.Upper));

    [MethodImpl(Inline)]
    public static RegisterAvx2 Min<T>(RegisterAvx2 left, RegisterAvx2 right)
        => typeof(T) == typeof(int) ? Of(Avx2.Min(left.As<int>(), right.As<int>())) : MinOther<T>(left, right);

    [MethodImpl(Inline)]
    public static RegisterAvx2 Max<T>(RegisterAvx2 left, RegisterAvx2 right)
        => typeof(T) == typeof(int) ? Of(Avx2.Max(left.As<int>(), right.As<int>())) : MaxOther<T>(left, right);

    [MethodImpl(Inline)]
    public static RegisterAvx2 Equal<T>(RegisterAvx2 left, RegisterAvx2 right)
        => typeof(T) == typeof(float) ? Of(Avx.CompareEqual(left.As<float>(), right.As<float>())) : EqualOther<T>(left, right);

    [MethodImpl(Inline)]
    public static RegisterAvx2 GreaterThan<T>(RegisterAvx2 left, RegisterAvx2 right)
        => typeof(T) == typeof(int) ? Of(Avx2.CompareGreaterThan(left.As<int>(), right.As<int>())) : GreaterThanOther<T>(left, right);

    [MethodImpl(Inline)]
    public static RegisterAvx2 Select<T>(RegisterAvx2 mask, RegisterAvx2 whenSet, RegisterAvx2 whenClear) => new(Avx2.BlendVariable(whenClear._lanes, whenSet._lanes, mask._lanes));

    [MethodImpl(Inline)]
    public static RegisterAvx2 ShiftLeft32(RegisterAvx2 value, int count) => Of(Avx2.ShiftLeftLogical(value.As<uint>(), Vector128.CreateScalar((uint)count)));

    [MethodImpl(Inline)]
    public static RegisterAvx2 ShiftRight32(RegisterAvx2 value, int count) => Of(Avx2.ShiftRightLogical(value.As<uint>(), Vector128.CreateScalar((uint)count)));

    [MethodImpl(Inline)]
    public static RegisterAvx2 SpreadSign16(RegisterAvx2 value) => Of(Avx2.ShiftRightArithmetic(value.As<short>(), 15));

    [MethodImpl(Inline)]
    public static RegisterAvx2 WidenLower<T>(RegisterAvx2 value) => Widen<T>(value.Lower);

    [MethodImpl(Inline)]
    public static RegisterAvx2 WidenUpper<T>(RegisterAvx2 value) => Widen<T>(value.Upper);

    /// <summary>Instructions that narrow two registers at once do so within each half: the quarters are put in order afterwards.</summary>
    [MethodImpl(Inline)]
    public static RegisterAvx2 Narrow<T>(RegisterAvx2 lower, RegisterAvx2 upper)
        => typeof(T) == typeof(float) ? Halves(Avx.ConvertToVector128Single(lower.As<double>()).AsByte(), Avx.ConvertToVector128Single(upper.As<double>()).AsByte())
        : Of(Avx2.Permute4x64(NarrowHalves<T>(lower, upper).As<long>(), 0b11_01_10_00));

    // What follows is apart because the compiler's budget for inlining counts the size of a method, whatever its type argument leaves of it.

    [MethodImpl(Inline)]
    private static RegisterAvx2 BroadcastOther<T>(T value) => Unsafe.SizeOf<T>() switch
    {
        1 => new(Avx2.BroadcastScalarToVector256(Vector128.CreateScalarUnsafe(Unsafe.BitCast<T, byte>(value)))),
        2 => Of(Avx2.BroadcastScalarToVector256(Vector128.CreateScalarUnsafe(Unsafe.BitCast<T, short>(value)))),
        _ => Of(Avx2.BroadcastScalarToVector256(Vector128.CreateScalarUnsafe(Unsafe.BitCast<T, long>(value)))),
    };

    [MethodImpl(Inline)]
    private static RegisterAvx2 AddOther<T>(RegisterAvx2 left, RegisterAvx2 right)
        => typeof(T) == typeof(double) ? Of(Avx.Add(left.As<double>(), right.As<double>())) : Unsafe.SizeOf<T>() switch
        {
            1 => new(Avx2.Add(left._lanes, right._lanes)),
            2 => Of(Avx2.Add(left.As<short>(), right.As<short>())),
            4 => Of(Avx2.Add(left.As<int>(), right.As<int>())),
            _ => Of(Avx2.Add(left.As<long>(), right.As<long>())),
        };

    [MethodImpl(Inline)]
    private static RegisterAvx2 SubtractOther<T>(RegisterAvx2 left, RegisterAvx2 right)
        => typeof(T) == typeof(double) ? Of(Avx.Subtract(left.As<double>(), right.As<double>())) : Unsafe.SizeOf<T>() switch
        {
            1 => new(Avx2.Subtract(left._lanes, right._lanes)),
            2 => Of(Avx2.Subtract(left.As<short>(), right.As<short>())),
            4 => Of(Avx2.Subtract(left.As<int>(), right.As<int>())),
            _ => Of(Avx2.Subtract(left.As<long>(), right.As<long>())),
        };

    [MethodImpl(Inline)]
    private static RegisterAvx2 MultiplyOther<T>(RegisterAvx2 left, RegisterAvx2 right)
        => typeof(T) == typeof(double) ? Of(Avx.Multiply(left.As<double>(), right.As<double>())) : Unsafe.SizeOf<T>() switch
        {
            2 => Of(Avx2.MultiplyLow(left.As<short>(), right.As<short>())),
            4 => Of(Avx2.MultiplyLow(left.As<int>(), right.As<int>())),
            _ => Halves(Register128.Multiply<T>(left.Lower, right.Lower), Register128.Multiply<T>(left.Upper, right.Upper)),
        };

    /// <summary>The instruction returns its second operand for two zeros and for NaN: both orders together have the lesser zero, and keep a NaN.</summary>
    [MethodImpl(Inline)]
    private static RegisterAvx2 MinOther<T>(RegisterAvx2 left, RegisterAvx2 right)
        => typeof(T) == typeof(float) ? Of(Avx.Or(Avx.Min(left.As<float>(), right.As<float>()), Avx.Min(right.As<float>(), left.As<float>())))
        : typeof(T) == typeof(double) ? Of(Avx.Or(Avx.Min(left.As<double>(), right.As<double>()), Avx.Min(right.As<double>(), left.As<double>())))
        : typeof(T) == typeof(byte) ? new(Avx2.Min(left._lanes, right._lanes))
        : typeof(T) == typeof(sbyte) ? Of(Avx2.Min(left.As<sbyte>(), right.As<sbyte>()))
        : typeof(T) == typeof(short) ? Of(Avx2.Min(left.As<short>(), right.As<short>()))
        : typeof(T) == typeof(ushort) ? Of(Avx2.Min(left.As<ushort>(), right.As<ushort>()))
        : typeof(T) == typeof(uint) ? Of(Avx2.Min(left.As<uint>(), right.As<uint>()))
        : Halves(Register128.Min<T>(left.Lower, right.Lower), Register128.Min<T>(left.Upper, right.Upper));

    /// <summary>As <see cref="MinOther"/>, but that the greater zero is the one without the bit, which would also take a NaN's: those are found apart.</summary>
    [MethodImpl(Inline)]
    private static RegisterAvx2 MaxOther<T>(RegisterAvx2 left, RegisterAvx2 right)
        => typeof(T) == typeof(float) ? Of(Avx.Or(Avx.CompareUnordered(left.As<float>(), right.As<float>()), Avx.And(Avx.Max(left.As<float>(), right.As<float>()), Avx.Max(right.As<float>(), left.As<float>()))))
        : typeof(T) == typeof(double) ? Of(Avx.Or(Avx.CompareUnordered(left.As<double>(), right.As<double>()), Avx.And(Avx.Max(left.As<double>(), right.As<double>()), Avx.Max(right.As<double>(), left.As<double>()))))
        : typeof(T) == typeof(byte) ? new(Avx2.Max(left._lanes, right._lanes))
        : typeof(T) == typeof(sbyte) ? Of(Avx2.Max(left.As<sbyte>(), right.As<sbyte>()))
        : typeof(T) == typeof(short) ? Of(Avx2.Max(left.As<short>(), right.As<short>()))
        : typeof(T) == typeof(ushort) ? Of(Avx2.Max(left.As<ushort>(), right.As<ushort>()))
        : typeof(T) == typeof(uint) ? Of(Avx2.Max(left.As<uint>(), right.As<uint>()))
        : Halves(Register128.Max<T>(left.Lower, right.Lower), Register128.Max<T>(left.Upper, right.Upper));

    [MethodImpl(Inline)]
    private static RegisterAvx2 EqualOther<T>(RegisterAvx2 left, RegisterAvx2 right)
        => typeof(T) == typeof(float) ? Of(Avx.CompareEqual(left.As<float>(), right.As<float>()))
        : typeof(T) == typeof(double) ? Of(Avx.CompareEqual(left.As<double>(), right.As<double>()))
        : Unsafe.SizeOf<T>() switch
        {
            1 => new(Avx2.CompareEqual(left._lanes, right._lanes)),
            2 => Of(Avx2.CompareEqual(left.As<short>(), right.As<short>())),
            4 => Of(Avx2.CompareEqual(left.As<int>(), right.As<int>())),
            _ => Of(Avx2.CompareEqual(left.As<long>(), right.As<long>())),
        };

    [MethodImpl(Inline)]
    private static RegisterAvx2 GreaterThanOther<T>(RegisterAvx2 left, RegisterAvx2 right)
        => typeof(T) == typeof(float) ? Of(Avx.CompareGreaterThan(left.As<float>(), right.As<float>()))
        : typeof(T) == typeof(double) ? Of(Avx.CompareGreaterThan(left.As<double>(), right.As<double>()))
        : typeof(T) == typeof(sbyte) ? Of(Avx2.CompareGreaterThan(left.As<sbyte>(), right.As<sbyte>()))
        : typeof(T) == typeof(short) ? Of(Avx2.CompareGreaterThan(left.As<short>(), right.As<short>()))
        : typeof(T) == typeof(long) ? Of(Avx2.CompareGreaterThan(left.As<long>(), right.As<long>()))
        : Halves(Register128.GreaterThan<T>(left.Lower, right.Lower), Register128.GreaterThan<T>(left.Upper, right.Upper));

    [MethodImpl(Inline)]
    private static RegisterAvx2 Widen<T>(Register128 value)
        => typeof(T) == typeof(float) ? Of(Avx.ConvertToVector256Double(value.Lanes.AsSingle()))
        : typeof(T) == typeof(byte) ? Of(Avx2.ConvertToVector256Int16(value.Lanes))
        : typeof(T) == typeof(ushort) ? Of(Avx2.ConvertToVector256Int32(value.Lanes.AsUInt16()))
        : typeof(T) == typeof(uint) ? Of(Avx2.ConvertToVector256Int64(value.Lanes.AsUInt32()))
        : throw new UnreachableException();

    /// <summary>Packing saturates, so that the upper half of each element is cleared first; 64 bits have no pack, but are every second of 32.</summary>
    [MethodImpl(Inline)]
    private static RegisterAvx2 NarrowHalves<T>(RegisterAvx2 lower, RegisterAvx2 upper)
        => typeof(T) == typeof(uint) ? Of(Avx.Shuffle(lower.As<float>(), upper.As<float>(), 0b10_00_10_00))
        : typeof(T) == typeof(ushort) ? Of(Avx2.PackUnsignedSaturate((lower & Broadcast(0xFFFF)).As<int>(), (upper & Broadcast(0xFFFF)).As<int>()))
        : typeof(T) == typeof(byte) ? Of(Avx2.PackUnsignedSaturate((lower & Broadcast(0xFF_00FF)).As<short>(), (upper & Broadcast(0xFF_00FF)).As<short>()))
        : throw new UnreachableException();

    private Register128 Lower
    {
        [MethodImpl(Inline)]
        get => new(Avx.ExtractVector128(_lanes, 0));
    }

    private Register128 Upper
    {
        [MethodImpl(Inline)]
        get => new(Avx.ExtractVector128(_lanes, 1));
    }

    [MethodImpl(Inline)]
    private static RegisterAvx2 Halves(Register128 lower, Register128 upper) => Halves(lower.Lanes, upper.Lanes);

    [MethodImpl(Inline)]
    private static RegisterAvx2 Halves(Vector128<byte> lower, Vector128<byte> upper) => new(Avx.InsertVector128(Avx.InsertVector128(default, lower, 0), upper, 1));

    [MethodImpl(Inline)]
    private static RegisterAvx2 Of<T>(Vector256<T> lanes) => new(Unsafe.BitCast<Vector256<T>, Vector256<byte>>(lanes));

    [MethodImpl(Inline)]
    private Vector256<T> As<T>() => Unsafe.BitCast<Vector256<byte>, Vector256<T>>(_lanes);
}
