namespace Collective.Kernels;

/// <summary>
/// The operations of <see cref="ReduceKernels"/> one element at a time and as plainly as possible: what the vectorised ones
/// are compared with, bit for bit.
/// </summary>
internal static class ScalarReference
{
    public static void Sum<T>(Span<T> accumulator, ReadOnlySpan<T> operand)
        where T : unmanaged
        => ElementTypes.Combine<ScalarLoop, T, SumOperation>(accumulator, operand);

    public static void Product<T>(Span<T> accumulator, ReadOnlySpan<T> operand)
        where T : unmanaged
        => ElementTypes.Combine<ScalarLoop, T, ProductOperation>(accumulator, operand);

    public static void Min<T>(Span<T> accumulator, ReadOnlySpan<T> operand)
        where T : unmanaged
        => ElementTypes.Combine<ScalarLoop, T, MinOperation>(accumulator, operand);

    public static void Max<T>(Span<T> accumulator, ReadOnlySpan<T> operand)
        where T : unmanaged
        => ElementTypes.Combine<ScalarLoop, T, MaxOperation>(accumulator, operand);

    public static void Divide<T>(Span<T> values, int divisor)
        where T : unmanaged
        => ElementTypes.Divide<ScalarLoop, T>(values, divisor);
}
