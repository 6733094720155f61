namespace Collective.Collectives;

/// <summary>How contributions of one element type are combined, byte views in and out.</summary>
internal interface IReducer
{
    /// <summary><paramref name="accumulator"/> := accumulator op <paramref name="operand"/>, element by element.</summary>
    void Accumulate(Span<byte> accumulator, ReadOnlySpan<byte> operand);

    /// <summary>Done once by a chunk's owner on the complete reduction: divides for an average.</summary>
    void Finish(Span<byte> accumulator, int contributors);
}
