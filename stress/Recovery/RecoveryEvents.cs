using System.Text.Json.Serialization;

namespace Collective.Stress.Recovery;

/// <summary>What a peer process tells its orchestrator. Times are ticks of the machine's monotonic clock, the same in all processes.</summary>
[JsonPolymorphic(TypeDiscriminatorPropertyName = "type")]
[JsonDerivedType(typeof(Undisturbed), "undisturbed")]
[JsonDerivedType(typeof(Dying), "dying")]
[JsonDerivedType(typeof(Retried), "retried")]
[JsonDerivedType(typeof(Failed), "failed")]
internal abstract record RecoveryEvent
{
    /// <summary>An all-reduce of all peers took so long, in milliseconds.</summary>
    public sealed record Undisturbed(double Milliseconds) : RecoveryEvent;

    /// <summary>The last word of the victim, in the middle of an all-reduce.</summary>
    public sealed record Dying(long At) : RecoveryEvent;

    /// <summary>The same all-reduce, called again at once, committed among the survivors, and the result is right.</summary>
    public sealed record Retried(long AbortedAt, long CommittedAt, int WorldSize) : RecoveryEvent;

    /// <summary>The peer gives up; the process ends with exit code 1.</summary>
    public sealed record Failed(string Message) : RecoveryEvent;
}
