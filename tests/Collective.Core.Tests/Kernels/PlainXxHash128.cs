using System.Buffers.Binary;
using System.Numerics;

namespace Collective.Core.Tests.Kernels;

/// <summary>XXH3 with 128 bits, written down from its specification without any trick: the independent check of the hash that peers compare.</summary>
internal static class PlainXxHash128
{
    private const uint Prime32First = 0x9E3779B1, Prime32Second = 0x85EBCA77, Prime32Third = 0xC2B2AE3D;
    private const ulong Prime64First = 0x9E3779B185EBCA87, Prime64Second = 0xC2B2AE3D27D4EB4F, Prime64Third = 0x165667B19E3779F9;
    private const ulong Prime64Fourth = 0x85EBCA77C2B2AE63, Prime64Fifth = 0x27D4EB2F165667C5;

    private static readonly byte[] s_secret = Convert.FromHexString(
        "b8fe6c3923a44bbe7c01812cf721ad1cded46de9839097db7240a4a4b7b3671fcb79e64eccc0e578825ad07dccff7221b8084674f743248ee03590e6813a264c"
        + "3c2852bb91c300cb88d0658b1b532ea371644897a20df94e3819ef46a9deacd8a8fa763fe39c343ff9dcbbc7c70b4f1d8a51e04bcdb45931c89f7ec9d9787364"
        + "eac5ac8334d3ebc3c581a0fffa1363eb170ddd51b7f0da49d316552629d4689e2b16be587d47a1fc8ff8b8d17ad031ce45cb3a8f95160428afd7fbcabb4b407e");

    /// <summary>At least one byte.</summary>
    public static UInt128 Hash(ReadOnlySpan<byte> data, ulong seed) => data.Length switch
    {
        <= 3 => UpTo3(data, seed),
        <= 8 => UpTo8(data, seed),
        <= 16 => UpTo16(data, seed),
        <= 128 => UpTo128(data, seed),
        <= 240 => UpTo240(data, seed),
        _ => Long(data, seed),
    };

    private static UInt128 UpTo3(ReadOnlySpan<byte> data, ulong seed)
    {
        var low = ((uint)data[0] << 16) | ((uint)data[data.Length >> 1] << 24) | data[^1] | ((uint)data.Length << 8);
        var high = BitOperations.RotateLeft(BinaryPrimitives.ReverseEndianness(low), 13);
        var flipLow = (Word32(s_secret, 0) ^ Word32(s_secret, 4)) + seed;
        var flipHigh = (Word32(s_secret, 8) ^ Word32(s_secret, 12)) - seed;
        return new UInt128(OldAvalanche(high ^ flipHigh), OldAvalanche(low ^ flipLow));
    }

    private static UInt128 UpTo8(ReadOnlySpan<byte> data, ulong seed)
    {
        seed ^= (ulong)BinaryPrimitives.ReverseEndianness((uint)seed) << 32;
        var input = Word32(data, 0) + (Word32(data, data.Length - 4) << 32);
        var keyed = input ^ ((Word64(s_secret, 16) ^ Word64(s_secret, 24)) + seed);
        var high = Math.BigMul(keyed, Prime64First + ((ulong)data.Length << 2), out var low);
        high += low << 1;
        low ^= high >> 3;
        low ^= low >> 35;
        low *= 0x9FB21C651E98DF25;
        low ^= low >> 28;
        return new UInt128(Avalanche(high), low);
    }

    private static UInt128 UpTo16(ReadOnlySpan<byte> data, ulong seed)
    {
        var flipLow = (Word64(s_secret, 32) ^ Word64(s_secret, 40)) - seed;
        var flipHigh = (Word64(s_secret, 48) ^ Word64(s_secret, 56)) + seed;
        var (inputLow, inputHigh) = (Word64(data, 0), Word64(data, data.Length - 8));
        var high = Math.BigMul(inputLow ^ inputHigh ^ flipLow, Prime64First, out var low);
        low += (ulong)(data.Length - 1) << 54;
        inputHigh ^= flipHigh;
        high += inputHigh + ((ulong)(uint)inputHigh * (Prime32Second - 1));
        low ^= BinaryPrimitives.ReverseEndianness(high);
        var secondHigh = Math.BigMul(low, Prime64Second, out var secondLow);
        secondHigh += high * Prime64Second;
        return new UInt128(Avalanche(secondHigh), Avalanche(secondLow));
    }

    private static UInt128 UpTo128(ReadOnlySpan<byte> data, ulong seed)
    {
        var length = data.Length;
        var (low, high) = ((ulong)length * Prime64First, 0UL);
        for (var i = (length - 1) / 32; i >= 0; i--)
        {
            Mix32(ref low, ref high, data[(16 * i)..], data[(length - (16 * (i + 1)))..], 32 * i, seed);
        }

        return Finish(low, high, length, seed);
    }

    private static UInt128 UpTo240(ReadOnlySpan<byte> data, ulong seed)
    {
        var (low, high) = ((ulong)data.Length * Prime64First, 0UL);
        for (var i = 32; i < 160; i += 32)
        {
            Mix32(ref low, ref high, data[(i - 32)..], data[(i - 16)..], i - 32, seed);
        }

        (low, high) = (Avalanche(low), Avalanche(high));
        for (var i = 160; i <= data.Length; i += 32)
        {
            Mix32(ref low, ref high, data[(i - 32)..], data[(i - 16)..], 3 + i - 160, seed);
        }

        Mix32(ref low, ref high, data[^16..], data[^32..], 136 - 17 - 16, 0 - seed);
        return Finish(low, high, data.Length, seed);
    }

    private static UInt128 Long(ReadOnlySpan<byte> data, ulong seed)
    {
        var secret = (byte[])s_secret.Clone();
        for (var i = 0; i < secret.Length; i += 16)
        {
            BinaryPrimitives.WriteUInt64LittleEndian(secret.AsSpan(i), Word64(s_secret, i) + seed);
            BinaryPrimitives.WriteUInt64LittleEndian(secret.AsSpan(i + 8), Word64(s_secret, i + 8) - seed);
        }

        ulong[] sums = [Prime32Third, Prime64First, Prime64Second, Prime64Third, Prime64Fourth, Prime32Second, Prime64Fifth, Prime32First];
        var stripes = (data.Length - 1) / 64;
        for (var i = 0; i < stripes; i++)
        {
            Accumulate(sums, data[(64 * i)..], secret.AsSpan(8 * (i % 16)));
            if (i % 16 == 15)
            {
                for (var j = 0; j < 8; j++)
                {
                    sums[j] = (sums[j] ^ (sums[j] >> 47) ^ Word64(secret, 128 + (8 * j))) * Prime32First;
                }
            }
        }

        Accumulate(sums, data[^64..], secret.AsSpan(192 - 64 - 7));
        var length = (ulong)data.Length;
        return new UInt128(Merge(sums, secret.AsSpan(192 - 64 - 11), ~(length * Prime64Second)), Merge(sums, secret.AsSpan(11), length * Prime64First));
    }

    private static void Accumulate(ulong[] sums, ReadOnlySpan<byte> stripe, ReadOnlySpan<byte> secret)
    {
        for (var i = 0; i < 8; i++)
        {
            var value = Word64(stripe, 8 * i);
            var key = value ^ Word64(secret, 8 * i);
            sums[i ^ 1] += value;
            sums[i] += (uint)key * (key >> 32);
        }
    }

    private static ulong Merge(ulong[] sums, ReadOnlySpan<byte> secret, ulong start)
    {
        for (var i = 0; i < 4; i++)
        {
            start += Fold(sums[2 * i] ^ Word64(secret, 16 * i), sums[(2 * i) + 1] ^ Word64(secret, (16 * i) + 8));
        }

        return Avalanche(start);
    }

    private static void Mix32(ref ulong low, ref ulong high, ReadOnlySpan<byte> first, ReadOnlySpan<byte> second, int secret, ulong seed)
    {
        low += Mix16(first, secret, seed);
        low ^= Word64(second, 0) + Word64(second, 8);
        high += Mix16(second, secret + 16, seed);
        high ^= Word64(first, 0) + Word64(first, 8);
    }

    private static ulong Mix16(ReadOnlySpan<byte> data, int secret, ulong seed)
        => Fold(Word64(data, 0) ^ (Word64(s_secret, secret) + seed), Word64(data, 8) ^ (Word64(s_secret, secret + 8) - seed));

    private static UInt128 Finish(ulong low, ulong high, int length, ulong seed)
    {
        var mixed = (low * Prime64First) + (high * Prime64Fourth) + (((ulong)length - seed) * Prime64Second);
        return new UInt128(0 - Avalanche(mixed), Avalanche(low + high));
    }

    private static ulong Fold(ulong a, ulong b) => Math.BigMul(a, b, out var low) ^ low;

    private static ulong Avalanche(ulong hash)
    {
        hash ^= hash >> 37;
        hash *= 0x165667919E3779F9;
        return hash ^ (hash >> 32);
    }

    private static ulong OldAvalanche(ulong hash)
    {
        hash ^= hash >> 33;
        hash *= Prime64Second;
        hash ^= hash >> 29;
        hash *= Prime64Third;
        return hash ^ (hash >> 32);
    }

    private static ulong Word32(ReadOnlySpan<byte> bytes, int offset) => BinaryPrimitives.ReadUInt32LittleEndian(bytes[offset..]);

    private static ulong Word64(ReadOnlySpan<byte> bytes, int offset) => BinaryPrimitives.ReadUInt64LittleEndian(bytes[offset..]);
}
