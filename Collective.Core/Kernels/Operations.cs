using System.Runtime.CompilerServices;

namespace Collective.Kernels;

internal readonly struct SumOperation : IOperation
{
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static T Apply<T, TArithmetic>(T left, T right)
        where T : unmanaged
        where TArithmetic : IArithmetic<T>
        => TArithmetic.Sum(left, right);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static TRegister Apply<T, TArithmetic, TRegister>(TRegister left, TRegister right)
        where T : unmanaged
        where TArithmetic : IArithmetic<T>
        where TRegister : struct, IRegister<TRegister>
        => TArithmetic.Sum(left, right);
}

internal readonly struct ProductOperation : IOperation
{
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static T Apply<T, TArithmetic>(T left, T right)
        where T : unmanaged
        where TArithmetic : IArithmetic<T>
        => TArithmetic.Product(left, right);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static TRegister Apply<T, TArithmetic, TRegister>(TRegister left, TRegister right)
        where T : unmanaged
        where TArithmetic : IArithmetic<T>
        where TRegister : struct, IRegister<TRegister>
        => TArithmetic.Product(left, right);
}

internal readonly struct MinOperation : IOperation
{
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static T Apply<T, TArithmetic>(T left, T right)
        where T : unmanaged
        where TArithmetic : IArithmetic<T>
        => TArithmetic.Min(left, right);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static TRegister Apply<T, TArithmetic, TRegister>(TRegister left, TRegister right)
        where T : unmanaged
        where TArithmetic : IArithmetic<T>
        where TRegister : struct, IRegister<TRegister>
        => TArithmetic.Min(left, right);
}

internal readonly struct MaxOperation : IOperation
{
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static T Apply<T, TArithmetic>(T left, T right)
        where T : unmanaged
        where TArithmetic : IArithmetic<T>
        => TArithmetic.Max(left, right);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static TRegister Apply<T, TArithmetic, TRegister>(TRegister left, TRegister right)
        where T : unmanaged
        where TArithmetic : IArithmetic<T>
        where TRegister : struct, IRegister<TRegister>
        => TArithmetic.Max(left, right);
}
