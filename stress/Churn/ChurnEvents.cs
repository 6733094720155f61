using System.Text.Json.Serialization;

namespace Collective.Stress.Churn;

/// <summary>
/// What a peer process of the churn program tells its orchestrator: one JSON object per line of standard output. Times are ticks of the machine's
/// monotonic clock, the same in all processes. Peers are named by the first eight digits of their ids.
/// </summary>
[JsonPolymorphic(TypeDiscriminatorPropertyName = "type")]
[JsonDerivedType(typeof(Connected), "connected")]
[JsonDerivedType(typeof(Committed), "committed")]
[JsonDerivedType(typeof(Aborted), "aborted")]
[JsonDerivedType(typeof(Receiving), "receiving")]
[JsonDerivedType(typeof(Synced), "synced")]
[JsonDerivedType(typeof(SyncFailed), "sync-failed")]
[JsonDerivedType(typeof(Alone), "alone")]
[JsonDerivedType(typeof(Waiting), "waiting")]
[JsonDerivedType(typeof(Lost), "lost")]
[JsonDerivedType(typeof(LinksBroken), "links-broken")]
[JsonDerivedType(typeof(Wrong), "wrong")]
[JsonDerivedType(typeof(Unrestored), "unrestored")]
[JsonDerivedType(typeof(Dismissed), "dismissed")]
[JsonDerivedType(typeof(Accepted), "accepted")]
[JsonDerivedType(typeof(Failed), "failed")]
internal abstract record ChurnEvent(long At)
{
    /// <summary>Admitted to the run, under a new id.</summary>
    public sealed record Connected(long At, string Id, ulong Epoch, int WorldSize) : ChurnEvent(At);

    /// <summary>An operation committed and is what its contributors make it; <paramref name="Aborts"/> attempts of it were aborted before.</summary>
    public sealed record Committed(long At, ulong Step, int Operation, ulong Epoch, IReadOnlyList<string> Contributors, string Digest, int Aborts) : ChurnEvent(At);

    /// <summary>An attempt was aborted and its input is what it was; <paramref name="EpochAfter"/> stands now.</summary>
    public sealed record Aborted(long At, ulong Step, int Operation, ulong EpochAfter, string Message) : ChurnEvent(At);

    /// <summary>Shared state begins to come.</summary>
    public sealed record Receiving(long At, ulong Step) : ChurnEvent(At);

    /// <summary>The shared state is that of all, and what it must be.</summary>
    public sealed record Synced(long At, ulong Step, ulong Revision, long BytesReceived, int Donors) : ChurnEvent(At);

    /// <summary>A sync failed, for all peers, and the state is what it was.</summary>
    public sealed record SyncFailed(long At, ulong Step, string Message) : ChurnEvent(At);

    /// <summary>No other peer is there; said again every second.</summary>
    public sealed record Alone(long At, ulong Step) : ChurnEvent(At);

    /// <summary>A call has not returned for long; said again and again.</summary>
    public sealed record Waiting(long At, ulong Step, string Call, double Seconds) : ChurnEvent(At);

    /// <summary>The connection to the run ended; the peer connects again.</summary>
    public sealed record Lost(long At, string Code, string Message) : ChurnEvent(At);

    /// <summary>The peer shut down so many of its data connections, as it was told.</summary>
    public sealed record LinksBroken(long At, int Connections) : ChurnEvent(At);

    /// <summary>A result is not what its contributors make it.</summary>
    public sealed record Wrong(long At, string Message) : ChurnEvent(At);

    /// <summary>An input is not what it was.</summary>
    public sealed record Unrestored(long At, string Message) : ChurnEvent(At);

    /// <summary>A misfit was told that it does not fit; its process ends.</summary>
    public sealed record Dismissed(long At, string Code, string Message) : ChurnEvent(At);

    /// <summary>A misfit was not told so; its process ends. Right only where nobody was there whom it does not fit.</summary>
    public sealed record Accepted(long At, ulong Step, int WorldSize) : ChurnEvent(At);

    /// <summary>The peer gives up; the process ends with exit code 1.</summary>
    public sealed record Failed(long At, string Message) : ChurnEvent(At);
}
