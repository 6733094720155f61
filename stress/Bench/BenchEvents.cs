using System.Text.Json.Serialization;

namespace Collective.Stress.Bench;

/// <summary>What a peer process of the benchmark tells its orchestrator: one JSON object per line of standard output.</summary>
[JsonPolymorphic(TypeDiscriminatorPropertyName = "type")]
[JsonDerivedType(typeof(Connected), "connected")]
[JsonDerivedType(typeof(Alive), "alive")]
[JsonDerivedType(typeof(Measured), "measured")]
[JsonDerivedType(typeof(Failed), "failed")]
internal abstract record BenchEvent
{
    /// <summary>The communicator was admitted to the run.</summary>
    public sealed record Connected(int Rank, int WorldSize) : BenchEvent;

    /// <summary>A measurement takes long, but goes on.</summary>
    public sealed record Alive(long Bytes, int IterationsDone) : BenchEvent;

    /// <summary>One size is done. Times are in microseconds; wrong elements are those that differ from the sum recomputed here.</summary>
    public sealed record Measured(int Rank, long Bytes, int Iterations, double Median, double P99, long WrongElements) : BenchEvent;

    /// <summary>The peer gives up; the process ends with exit code 1.</summary>
    public sealed record Failed(string Message) : BenchEvent;
}
