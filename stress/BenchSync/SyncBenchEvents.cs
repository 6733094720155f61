using System.Text.Json.Serialization;

namespace Collective.Stress.BenchSync;

/// <summary>What a peer process of the sync benchmark tells its orchestrator.</summary>
[JsonPolymorphic(TypeDiscriminatorPropertyName = "type")]
[JsonDerivedType(typeof(Alive), "alive")]
[JsonDerivedType(typeof(Measured), "measured")]
[JsonDerivedType(typeof(Worked), "worked")]
[JsonDerivedType(typeof(Failed), "failed")]
internal abstract record SyncBenchEvent
{
    /// <summary>It goes on.</summary>
    public sealed record Alive : SyncBenchEvent;

    /// <summary>The newcomer's times of one kind of sync, in milliseconds, sorted, those of the raw copies made before each of them, and the bytes that each moved.</summary>
    public sealed record Measured(string Kind, double[] Milliseconds, double[] RawCopyMilliseconds, long BytesReceived, int Donors) : SyncBenchEvent;

    /// <summary>The processor time that one sync of a kind took of a peer, in milliseconds on average. Of the newcomer before <see cref="Measured"/>.</summary>
    public sealed record Worked(string Kind, double ProcessorMs) : SyncBenchEvent;

    /// <summary>The peer gives up; the process ends with exit code 1.</summary>
    public sealed record Failed(string Message) : SyncBenchEvent;
}
