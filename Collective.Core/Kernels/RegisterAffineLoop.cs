using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;

namespace Collective.Kernels;

/// <summary>
/// Registers of any width, bit for bit <see cref="ScalarAffineLoop"/>, which takes the remainder. Values are widened to lanes of
/// 64 bits. There an integer below 2^52 becomes a float64, and a float64 is rounded to an integer, by way of 2^52 + u: float64 numbers of
/// that size are 1 apart, and the lower 52 bits are u.
/// </summary>
internal readonly struct RegisterAffineLoop<TRegister> : IAffineLoop
    where TRegister : struct, IRegister<TRegister>
{
    private const MethodImplOptions Inline = MethodImplOptions.AggressiveInlining;

    // Inlined into a caller, the loops would exceed its budget and call what they are made of: measured 1.5 GB/s instead of 9.
    private const MethodImplOptions Hot = MethodImplOptions.AggressiveOptimization | MethodImplOptions.NoInlining;

    private const double TwoTo52 = 1L << 52;

    [MethodImpl(Hot)]
    public static (double Min, double Max) Extremes<TValue>(ReadOnlySpan<byte> values)
        where TValue : unmanaged
    {
        var whole = values.Length & -(2 * TRegister.SizeBytes);
        if (whole == 0)
        {
            return ScalarAffineLoop.Extremes<TValue>(values);
        }

        ref var place = ref MemoryMarshal.GetReference(values);
        TRegister min = TRegister.Load(ref place, 0), max = min;
        TRegister min2 = TRegister.Load(ref place, (nuint)TRegister.SizeBytes), max2 = min2;
        for (nuint offset = 0; offset < (nuint)whole; offset += 2 * (nuint)TRegister.SizeBytes)
        {
            var first = TRegister.Load(ref place, offset);
            var second = TRegister.Load(ref place, offset + (nuint)TRegister.SizeBytes);
            min = TRegister.Min<TValue>(min, first);
            max = TRegister.Max<TValue>(max, first);
            min2 = TRegister.Min<TValue>(min2, second);
            max2 = TRegister.Max<TValue>(max2, second);
        }

        Span<byte> kept = stackalloc byte[4 * TRegister.SizeBytes];
        ref var keptPlace = ref MemoryMarshal.GetReference(kept);
        TRegister.Min<TValue>(min, min2).Store(ref keptPlace, 0);
        TRegister.Max<TValue>(max, max2).Store(ref keptPlace, (nuint)TRegister.SizeBytes);
        var smallest = ScalarAffineLoop.Extremes<TValue>(kept[..TRegister.SizeBytes]).Min;
        var largest = ScalarAffineLoop.Extremes<TValue>(kept[TRegister.SizeBytes..(2 * TRegister.SizeBytes)]).Max;
        var (restMin, restMax) = ScalarAffineLoop.Extremes<TValue>(values[whole..]);
        return (FloatArithmetic<double>.Min(smallest, restMin), FloatArithmetic<double>.Max(largest, restMax));
    }

    [MethodImpl(Hot)]
    public static void AddUp<TValue>(ReadOnlySpan<byte> values, double origin, double factor, Span<double> sums, Span<double> squares)
        where TValue : unmanaged
    {
        var elements = values.Length / Unsafe.SizeOf<TValue>() & -AffineCodec.Partials;
        var origins = TRegister.Broadcast(origin);
        var factors = TRegister.Broadcast(factor);
        ref var place = ref MemoryMarshal.GetReference(values);
        ref var sumPlace = ref Unsafe.As<double, byte>(ref MemoryMarshal.GetReference(sums));
        ref var squarePlace = ref Unsafe.As<double, byte>(ref MemoryMarshal.GetReference(squares));
        for (nuint element = 0; element < (nuint)elements; element += AffineCodec.Partials)
        {
            for (nuint partial = 0; partial < AffineCodec.Partials * sizeof(double); partial += 2 * (nuint)TRegister.SizeBytes)
            {
                LoadPair<TValue>(ref place, (element + (partial / sizeof(double))) * (nuint)Unsafe.SizeOf<TValue>(), out var lower, out var upper);
                Add((lower, origins, factors), ref sumPlace, ref squarePlace, partial);
                Add((upper, origins, factors), ref sumPlace, ref squarePlace, partial + (nuint)TRegister.SizeBytes);
            }
        }

        ScalarAffineLoop.AddUp<TValue>(values[(elements * Unsafe.SizeOf<TValue>())..], origin, factor, sums, squares);
    }

    [MethodImpl(Hot)]
    public static void Encode<TValue, TCode>(ReadOnlySpan<byte> values, Span<byte> codes, in AffineEncoding encoding)
        where TValue : unmanaged
        where TCode : unmanaged
    {
        var elements = codes.Length / Unsafe.SizeOf<TCode>();
        var whole = elements & -ElementsPerTurn<TCode>();
        var encoder = new Encoder(encoding);
        ref var place = ref MemoryMarshal.GetReference(values);
        ref var codePlace = ref MemoryMarshal.GetReference(codes);
        for (nuint element = 0; element < (nuint)whole; element += (nuint)ElementsPerTurn<TCode>())
        {
            var from = element * (nuint)Unsafe.SizeOf<TValue>();
            var to = element * (nuint)Unsafe.SizeOf<TCode>();
            if (typeof(TCode) == typeof(byte)) { encoder.To8<TValue>(ref place, from).Store(ref codePlace, to); }
            else if (typeof(TCode) == typeof(ushort)) { encoder.To16<TValue>(ref place, from).Store(ref codePlace, to); }
            else if (typeof(TCode) == typeof(uint)) { encoder.To32<TValue>(ref place, from).Store(ref codePlace, to); }
            else
            {
                LoadPair<TValue>(ref place, from, out var lower, out var upper);
                encoder.Code(lower).Store(ref codePlace, to);
                encoder.Code(upper).Store(ref codePlace, to + (nuint)TRegister.SizeBytes);
            }
        }

        ScalarAffineLoop.Encode<TValue, TCode>(values[(whole * Unsafe.SizeOf<TValue>())..], codes[(whole * Unsafe.SizeOf<TCode>())..], encoding);
    }

    [MethodImpl(Hot)]
    public static void Decode<TValue, TCode>(ReadOnlySpan<byte> codes, Span<byte> values, in AffineMap map, CodeRange range)
        where TValue : unmanaged
        where TCode : unmanaged
    {
        var elements = values.Length / Unsafe.SizeOf<TValue>();
        var whole = elements & -ElementsPerTurn<TCode>();
        var decoder = new Decoder(map, range);
        ref var place = ref MemoryMarshal.GetReference(values);
        ref var codePlace = ref MemoryMarshal.GetReference(codes);
        for (nuint element = 0; element < (nuint)whole; element += (nuint)ElementsPerTurn<TCode>())
        {
            var from = element * (nuint)Unsafe.SizeOf<TCode>();
            var to = element * (nuint)Unsafe.SizeOf<TValue>();
            var read = TRegister.Load(ref codePlace, from);
            if (typeof(TCode) == typeof(byte)) { decoder.From8<TValue>(read, ref place, to); }
            else if (typeof(TCode) == typeof(ushort)) { decoder.From16<TValue>(read, ref place, to); }
            else if (typeof(TCode) == typeof(uint)) { decoder.From32<TValue>(read, ref place, to); }
            else { decoder.From64<TValue>(read, TRegister.Load(ref codePlace, from + (nuint)TRegister.SizeBytes), ref place, to); }
        }

        ScalarAffineLoop.Decode<TValue, TCode>(codes[(whole * Unsafe.SizeOf<TCode>())..], values[(whole * Unsafe.SizeOf<TValue>())..], map, range);
    }

    /// <summary>Elements of one register of codes, or of the two registers of values that one of float32 is widened to.</summary>
    [MethodImpl(Inline)]
    private static int ElementsPerTurn<TCode>() => Math.Max(TRegister.SizeBytes / Unsafe.SizeOf<TCode>(), TRegister.SizeBytes / sizeof(float));

    /// <summary>Distance in bytes between elements that are so many registers of float64 apart.</summary>
    [MethodImpl(Inline)]
    private static nuint RegistersApart<TValue>(int registers) => (nuint)(registers * TRegister.SizeBytes / sizeof(double) * Unsafe.SizeOf<TValue>());

    /// <summary>Elements for two registers of float64.</summary>
    [MethodImpl(Inline)]
    private static void LoadPair<TValue>(ref byte place, nuint offset, out TRegister lower, out TRegister upper)
    {
        if (typeof(TValue) == typeof(float))
        {
            var values = TRegister.Load(ref place, offset);
            lower = TRegister.WidenLower<float>(values);
            upper = TRegister.WidenUpper<float>(values);
        }
        else
        {
            lower = TRegister.Load(ref place, offset);
            upper = TRegister.Load(ref place, offset + (nuint)TRegister.SizeBytes);
        }
    }

    [MethodImpl(Inline)]
    private static void Add((TRegister Values, TRegister Origin, TRegister Factor) x, ref byte sums, ref byte squares, nuint offset)
    {
        var d = TRegister.Multiply<double>(TRegister.Subtract<double>(x.Values, x.Origin), x.Factor);
        TRegister.Add<double>(TRegister.Load(ref sums, offset), d).Store(ref sums, offset);
        TRegister.Add<double>(TRegister.Load(ref squares, offset), TRegister.Multiply<double>(d, d)).Store(ref squares, offset);
    }

    private readonly struct Encoder(in AffineEncoding encoding)
    {
        private readonly TRegister _offset = TRegister.Broadcast(encoding.Offset);
        private readonly TRegister _inverse = TRegister.Broadcast(encoding.Inverse);
        private readonly TRegister _zeroPoint = TRegister.Broadcast(encoding.ZeroPoint);
        private readonly TRegister _largest = TRegister.Broadcast((double)encoding.Largest);
        private readonly TRegister _twoTo52 = TRegister.Broadcast(TwoTo52);
        private readonly TRegister _toWritten = TRegister.Broadcast(BitConverter.DoubleToUInt64Bits(TwoTo52) + encoding.Bias);

        /// <summary>The integers that are written, in lanes of 64 bits.</summary>
        [MethodImpl(Inline)]
        public TRegister Code(TRegister values)
        {
            var exact = TRegister.Add<double>(TRegister.Multiply<double>(TRegister.Subtract<double>(values, _offset), _inverse), _zeroPoint);
            var notNegative = TRegister.Select<double>(TRegister.GreaterThan<double>(exact, default), exact, default);
            var clamped = TRegister.Select<double>(TRegister.GreaterThan<double>(notNegative, _largest), _largest, notNegative);
            return TRegister.Subtract<ulong>(TRegister.Add<double>(clamped, _twoTo52), _toWritten);
        }

        [MethodImpl(Inline)]
        public TRegister To32<TValue>(ref byte place, nuint offset)
        {
            LoadPair<TValue>(ref place, offset, out var lower, out var upper);
            return TRegister.Narrow<uint>(Code(lower), Code(upper));
        }

        [MethodImpl(Inline)]
        public TRegister To16<TValue>(ref byte place, nuint offset)
            => TRegister.Narrow<ushort>(To32<TValue>(ref place, offset), To32<TValue>(ref place, offset + RegistersApart<TValue>(2)));

        [MethodImpl(Inline)]
        public TRegister To8<TValue>(ref byte place, nuint offset)
            => TRegister.Narrow<byte>(To16<TValue>(ref place, offset), To16<TValue>(ref place, offset + RegistersApart<TValue>(4)));
    }

    private readonly struct Decoder(in AffineMap map, CodeRange range)
    {
        private readonly TRegister _offset = TRegister.Broadcast(map.Offset);
        private readonly TRegister _step = TRegister.Broadcast(map.Step);
        private readonly TRegister _zeroPoint = TRegister.Broadcast(map.ZeroPoint);
        private readonly TRegister _bias = TRegister.Broadcast(range.Bias);
        private readonly TRegister _mask = TRegister.Broadcast(range.Largest);
        private readonly TRegister _twoTo52 = TRegister.Broadcast(TwoTo52);

        [MethodImpl(Inline)]
        public void From8<TValue>(TRegister written, ref byte place, nuint offset)
        {
            From16<TValue>(TRegister.WidenLower<byte>(written), ref place, offset);
            From16<TValue>(TRegister.WidenUpper<byte>(written), ref place, offset + RegistersApart<TValue>(4));
        }

        [MethodImpl(Inline)]
        public void From16<TValue>(TRegister written, ref byte place, nuint offset)
        {
            From32<TValue>(TRegister.WidenLower<ushort>(written), ref place, offset);
            From32<TValue>(TRegister.WidenUpper<ushort>(written), ref place, offset + RegistersApart<TValue>(2));
        }

        [MethodImpl(Inline)]
        public void From32<TValue>(TRegister written, ref byte place, nuint offset)
            => From64<TValue>(TRegister.WidenLower<uint>(written), TRegister.WidenUpper<uint>(written), ref place, offset);

        [MethodImpl(Inline)]
        public void From64<TValue>(TRegister lower, TRegister upper, ref byte place, nuint offset)
        {
            if (typeof(TValue) == typeof(float))
            {
                TRegister.Narrow<float>(Value(lower), Value(upper)).Store(ref place, offset);
            }
            else
            {
                Value(lower).Store(ref place, offset);
                Value(upper).Store(ref place, offset + (nuint)TRegister.SizeBytes);
            }
        }

        [MethodImpl(Inline)]
        private TRegister Value(TRegister written)
        {
            var code = TRegister.Add<ulong>(written, _bias) & _mask;
            var exact = TRegister.Subtract<double>(code | _twoTo52, _twoTo52);
            return TRegister.Add<double>(TRegister.Multiply<double>(TRegister.Subtract<double>(exact, _zeroPoint), _step), _offset);
        }
    }
}
