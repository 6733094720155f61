using System.Text.Json.Serialization;

namespace Collective.Stress.Demo;

/// <summary>What a peer process of the demo tells its orchestrator: one JSON object per line of standard output.</summary>
[JsonPolymorphic(TypeDiscriminatorPropertyName = "type")]
[JsonDerivedType(typeof(Connected), "connected")]
[JsonDerivedType(typeof(HandedOver), "handover")]
[JsonDerivedType(typeof(Receiving), "receiving")]
[JsonDerivedType(typeof(StepDone), "step")]
[JsonDerivedType(typeof(AwaitingNewcomer), "awaiting-newcomer")]
[JsonDerivedType(typeof(Dying), "dying")]
[JsonDerivedType(typeof(AllReduceAborted), "aborted")]
[JsonDerivedType(typeof(AllReduceRetried), "retried")]
[JsonDerivedType(typeof(Alone), "alone")]
[JsonDerivedType(typeof(Done), "done")]
[JsonDerivedType(typeof(Failed), "failed")]
internal abstract record DemoEvent
{
    /// <summary>The communicator was admitted to the run.</summary>
    public sealed record Connected(string PeerId, int Rank, int WorldSize) : DemoEvent;

    /// <summary>All peers of the world agree on the state now; this one had it already or has just <paramref name="Received"/> it.</summary>
    public sealed record HandedOver(int StepsDone, int Rank, int WorldSize, bool Received, long Bytes, int Donors) : DemoEvent;

    /// <summary>How much of the others' state has come.</summary>
    public sealed record Receiving(long BytesDone, long BytesTotal, int Donors) : DemoEvent;

    /// <summary>Outer step <paramref name="Step"/>, counted from 1, is applied. Bytes are payload of its all-reduce.</summary>
    public sealed record StepDone(int Step, int Rank, int WorldSize, double Loss, double SamplesPerSecond, long BytesSent, long BytesReceived) : DemoEvent;

    /// <summary>Nothing goes on before a newcomer has asked to join: so the demo works the same on fast and slow machines.</summary>
    public sealed record AwaitingNewcomer(int Step) : DemoEvent;

    /// <summary>The last word of the victim, in the middle of the all-reduce of <paramref name="Step"/>.</summary>
    public sealed record Dying(int Step) : DemoEvent;

    /// <summary>The all-reduce of <paramref name="Step"/> was aborted for all peers and the input restored.</summary>
    public sealed record AllReduceAborted(int Step, string Message) : DemoEvent;

    /// <summary>The same all-reduce, called again, succeeded among those who are left.</summary>
    public sealed record AllReduceRetried(int Step, int WorldSize) : DemoEvent;

    /// <summary>No other peer is left; this one goes on by itself.</summary>
    public sealed record Alone(int Step) : DemoEvent;

    /// <summary>Training is complete. Counts are those of this peer.</summary>
    public sealed record Done(int StepsDone, double Accuracy, string Digest, int Aborted, int Retried, long BytesSent, long BytesReceived) : DemoEvent;

    /// <summary>The peer gives up; the process ends with exit code 1.</summary>
    public sealed record Failed(string Message) : DemoEvent;
}
