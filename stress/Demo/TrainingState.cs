using System.Runtime.InteropServices;
using System.Security.Cryptography;

namespace Collective.Stress.Demo;

/// <summary>All that must be identical on every peer: parameters, outer momentum and the number of steps done.</summary>
internal sealed class TrainingState
{
    public TrainingState(float[] initialParameters)
    {
        Parameters = initialParameters;
        Momentum = new float[initialParameters.Length];
    }

    public float[] Parameters { get; }

    /// <summary>Running average of the outer gradient, see <see cref="OuterOptimizer"/>.</summary>
    public float[] Momentum { get; }

    /// <summary>Outer steps completed so far.</summary>
    public int StepsDone { get; set; }

    /// <summary>Size of the whole state in words of 32 bits.</summary>
    public int WordCount => 1 + Parameters.Length + Momentum.Length;

    /// <summary>SHA-256 of the parameters in lower-case hexadecimal: equal exactly if every bit of every parameter is.</summary>
    public string Digest() => Convert.ToHexStringLower(SHA256.HashData(MemoryMarshal.AsBytes(Parameters.AsSpan())));

    /// <summary>Writes the state as whole numbers, bit for bit.</summary>
    public void CopyTo(Span<uint> words)
    {
        words[0] = (uint)StepsDone;
        MemoryMarshal.Cast<float, uint>(Parameters).CopyTo(words[1..]);
        MemoryMarshal.Cast<float, uint>(Momentum).CopyTo(words[(1 + Parameters.Length)..]);
    }

    /// <summary>Replaces the state by one that <see cref="CopyTo"/> wrote, on whichever peer.</summary>
    public void CopyFrom(ReadOnlySpan<uint> words)
    {
        StepsDone = (int)words[0];
        var values = MemoryMarshal.Cast<uint, float>(words[1..]);
        values[..Parameters.Length].CopyTo(Parameters);
        values[Parameters.Length..].CopyTo(Momentum);
    }
}
