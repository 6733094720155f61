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

    /// <summary>Outer steps completed so far, as a tensor of one element.</summary>
    public int[] Counters { get; } = [0];

    /// <summary>Outer steps completed so far.</summary>
    public int StepsDone
    {
        get => Counters[0];
        set => Counters[0] = value;
    }

    /// <summary>SHA-256 of the parameters in lower-case hexadecimal: equal exactly if every bit of every parameter is.</summary>
    public string Digest() => Convert.ToHexStringLower(SHA256.HashData(MemoryMarshal.AsBytes(Parameters.AsSpan())));
}
