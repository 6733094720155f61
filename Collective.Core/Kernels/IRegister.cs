namespace Collective.Kernels;

/// <summary>
/// One SIMD register of any width. Kernels are written once against this interface; the lanes' element type is chosen per
/// operation, so that reinterpreting bits needs no ceremony.
/// </summary>
internal interface IRegister<TSelf>
    where TSelf : struct, IRegister<TSelf>
{
    /// <summary>Whether this machine runs the register in hardware.</summary>
    static abstract bool IsAccelerated { get; }

    /// <summary>Size of the register.</summary>
    static abstract int SizeBytes { get; }

    /// <summary>Reads a register at any alignment.</summary>
    static abstract TSelf Load(ref readonly byte source, nuint offsetBytes);

    /// <summary>Writes the register at any alignment.</summary>
    void Store(ref byte destination, nuint offsetBytes);

    static abstract TSelf Broadcast<T>(T value);

    static abstract TSelf operator &(TSelf left, TSelf right);
    static abstract TSelf operator |(TSelf left, TSelf right);
    static abstract TSelf operator ^(TSelf left, TSelf right);

    static abstract TSelf Add<T>(TSelf left, TSelf right);
    static abstract TSelf Subtract<T>(TSelf left, TSelf right);
    static abstract TSelf Multiply<T>(TSelf left, TSelf right);
    static abstract TSelf Divide<T>(TSelf left, TSelf right);
    static abstract TSelf Min<T>(TSelf left, TSelf right);
    static abstract TSelf Max<T>(TSelf left, TSelf right);

    /// <summary>All ones in the lanes where the comparison holds, else zero.</summary>
    static abstract TSelf Equal<T>(TSelf left, TSelf right);

    /// <summary>All ones in the lanes where the comparison holds, else zero.</summary>
    static abstract TSelf GreaterThan<T>(TSelf left, TSelf right);

    /// <summary>Takes <paramref name="whenSet"/> in the lanes where the mask is all ones, <paramref name="whenClear"/> where it is zero.</summary>
    static abstract TSelf Select<T>(TSelf mask, TSelf whenSet, TSelf whenClear);

    /// <summary>Shifts each 32-bit lane left.</summary>
    static abstract TSelf ShiftLeft32(TSelf value, int count);

    /// <summary>Shifts each 32-bit lane right, filling with zeros.</summary>
    static abstract TSelf ShiftRight32(TSelf value, int count);

    /// <summary>Fills each 16-bit lane with copies of its top bit.</summary>
    static abstract TSelf SpreadSign16(TSelf value);

    /// <summary>The first half of the elements, each in twice the space: unsigned integers are zero-extended, float32 becomes float64.</summary>
    static abstract TSelf WidenLower<T>(TSelf value);

    /// <summary>The second half of the elements, as <see cref="WidenLower{T}"/>.</summary>
    static abstract TSelf WidenUpper<T>(TSelf value);

    /// <summary>
    /// The inverse of the two above: elements of <typeparamref name="T"/> from registers of elements twice as large. Integers are
    /// truncated, float64 is rounded to nearest even.
    /// </summary>
    static abstract TSelf Narrow<T>(TSelf lower, TSelf upper);
}
