namespace Collective.Kernels;

/// <summary>
/// The operations on one element type, each twice: for one element, as plain as possible, which is the specification; and for
/// the lanes of a register, bit for bit the same.
/// </summary>
internal interface IArithmetic<T>
    where T : unmanaged
{
    static abstract T Sum(T left, T right);
    static abstract T Product(T left, T right);
    static abstract T Min(T left, T right);
    static abstract T Max(T left, T right);
    static abstract T Divide(T value, int divisor);

    static abstract TRegister Sum<TRegister>(TRegister left, TRegister right)
        where TRegister : struct, IRegister<TRegister>;

    static abstract TRegister Product<TRegister>(TRegister left, TRegister right)
        where TRegister : struct, IRegister<TRegister>;

    static abstract TRegister Min<TRegister>(TRegister left, TRegister right)
        where TRegister : struct, IRegister<TRegister>;

    static abstract TRegister Max<TRegister>(TRegister left, TRegister right)
        where TRegister : struct, IRegister<TRegister>;

    /// <summary>Whether <see cref="Divide{TRegister}"/> exists; where it does not, elements are divided one by one.</summary>
    static abstract bool DividesRegisters { get; }

    static abstract TRegister Divide<TRegister>(TRegister values, int divisor)
        where TRegister : struct, IRegister<TRegister>;
}

/// <summary>One of the operations of <see cref="IArithmetic{T}"/>, as a type, so that a loop over it is compiled for it.</summary>
internal interface IOperation
{
    static abstract T Apply<T, TArithmetic>(T left, T right)
        where T : unmanaged
        where TArithmetic : IArithmetic<T>;

    static abstract TRegister Apply<T, TArithmetic, TRegister>(TRegister left, TRegister right)
        where T : unmanaged
        where TArithmetic : IArithmetic<T>
        where TRegister : struct, IRegister<TRegister>;
}
