namespace Collective.Kernels;

/// <summary>
/// Turns a piece of a tensor into fewer bytes and back. A piece is self-contained: what decodes it travels with it. Results are
/// specified to the bit, so that all who decode the same bytes hold the same values (guarantee G2); decoding is total.
/// </summary>
internal interface IPieceCodec
{
    /// <summary>Bytes of one element in memory.</summary>
    int ValueBytes { get; }

    /// <summary>Bytes of an encoded piece of so many elements.</summary>
    int PieceBytes(int elements);

    /// <summary>Elements of the largest piece that fits into so many bytes.</summary>
    int ElementsIn(int pieceBytes);

    /// <summary>No fewer bytes than so many elements take in so many pieces, however they are divided.</summary>
    long PiecesBytesMax(long elements, long pieces);

    /// <summary>Encodes all <paramref name="values"/> into a piece of exactly <see cref="PieceBytes"/>.</summary>
    void Encode(ReadOnlySpan<byte> values, Span<byte> piece);

    /// <summary>Decodes elements of a piece, from the <paramref name="first"/> on, until <paramref name="values"/> is full.</summary>
    void Decode(ReadOnlySpan<byte> piece, int first, Span<byte> values);
}
