namespace Collective.Kernels;

/// <summary>
/// The passes over a piece. <c>TValue</c> is float or double; <c>TCode</c> an unsigned integer of the codes' size. Spans may start at any address.
/// All arithmetic is float64, one rounding per operation, never contracted.
/// </summary>
internal interface IAffineLoop
{
    /// <summary>Minimum and maximum of a piece that is not empty; NaN if it contains one.</summary>
    static abstract (double Min, double Max) Extremes<TValue>(ReadOnlySpan<byte> values)
        where TValue : unmanaged;

    /// <summary>
    /// For d = (x − <paramref name="origin"/>) · <paramref name="factor"/> adds d to <paramref name="sums"/> and d · d to <paramref name="squares"/>,
    /// each of <see cref="AffineCodec.Partials"/> partial sums, element i to the one of index i modulo their number.
    /// </summary>
    static abstract void AddUp<TValue>(ReadOnlySpan<byte> values, double origin, double factor, Span<double> sums, Span<double> squares)
        where TValue : unmanaged;

    static abstract void Encode<TValue, TCode>(ReadOnlySpan<byte> values, Span<byte> codes, in AffineEncoding encoding)
        where TValue : unmanaged
        where TCode : unmanaged;

    static abstract void Decode<TValue, TCode>(ReadOnlySpan<byte> codes, Span<byte> values, in AffineMap map, CodeRange range)
        where TValue : unmanaged
        where TCode : unmanaged;
}
