using System.Text.Json.Serialization;

namespace Collective.Stress.BenchSync;

/// <summary>What a peer process of the sync benchmark tells its orchestrator.</summary>
[JsonPolymorphic(TypeDiscriminatorPropertyName = "type")]
[JsonDerivedType(typeof(Alive), "alive")]
[JsonDerivedType(typeof(Measured), "measured")]
[JsonDerivedType(typeof(Failed), "failed")]
internal abstract record SyncBenchEvent
{
    /// <summary>It goes on.</summary>
    public sealed record Alive : SyncBenchEvent;

    /// <summary>The newcomer's times of one kind of sync, in milliseconds, sorted, and the bytes that each moved.</summary>
    public sealed record Measured(string Kind, double[] Milliseconds, long BytesReceived, int Donors) : SyncBenchEvent;

    /// <summary>The peer gives up; the process ends with exit code 1.</summary>
    public sealed record Failed(string Message) : SyncBenchEvent;
}
