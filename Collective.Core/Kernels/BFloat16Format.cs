using System.Runtime.CompilerServices;

namespace Collective.Kernels;

/// <summary>Conversion between bfloat16 and float32, of which it is the upper half.</summary>
internal readonly struct BFloat16Format : IPackedFormat<BFloat16>
{
    private const MethodImplOptions Inline = MethodImplOptions.AggressiveInlining;

    private const uint UpperHalf = 0xFFFF_0000;
    private const uint CanonicalNaN = 0x7FC0_0000;

    public static short InfinityBits => 0x7F80;

    public static short CanonicalNaNBits => 0x7FC0;

    public static float Widen(BFloat16 value) => (float)value;

    public static BFloat16 Narrow(float value) => (BFloat16)value;

    [MethodImpl(Inline)]
    public static TRegister WidenLower<TRegister>(TRegister pairs)
        where TRegister : struct, IRegister<TRegister>
        => TRegister.ShiftLeft32(pairs, 16);

    [MethodImpl(Inline)]
    public static TRegister WidenUpper<TRegister>(TRegister pairs)
        where TRegister : struct, IRegister<TRegister>
        => pairs & TRegister.Broadcast(UpperHalf);

    [MethodImpl(Inline)]
    public static TRegister Narrow<TRegister>(TRegister lower, TRegister upper)
        where TRegister : struct, IRegister<TRegister>
        => TRegister.ShiftRight32(Round(lower), 16) | (Round(upper) & TRegister.Broadcast(UpperHalf));

    /// <summary>Leaves the rounded value in the upper half of each lane, and remains of the carry in the lower half.</summary>
    [MethodImpl(Inline)]
    private static TRegister Round<TRegister>(TRegister values)
        where TRegister : struct, IRegister<TRegister>
    {
        TRegister keptIsOdd = TRegister.ShiftRight32(values, 16) & TRegister.Broadcast(1u);
        TRegister rounded = TRegister.Add<uint>(TRegister.Add<uint>(values, TRegister.Broadcast(0x7FFFu)), keptIsOdd);
        return TRegister.Select<float>(TRegister.Equal<float>(values, values), rounded, TRegister.Broadcast(CanonicalNaN));
    }
}
