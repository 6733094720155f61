namespace Collective.Coordination;

/// <summary>When a call's time is over, and how long that was.</summary>
internal readonly record struct Deadline(long AtMs, long TimeoutMs)
{
    public static Deadline None => new(long.MaxValue, PeerInput.NoTimeout);

    public static Deadline After(long nowMs, long timeoutMs) => timeoutMs < 0 ? None : new Deadline(nowMs + timeoutMs, timeoutMs);

    public bool IsOver(long nowMs) => nowMs >= AtMs;

    /// <summary>The timeout as text, in seconds.</summary>
    public override string ToString() => $"{TimeoutMs / 1000.0:0.###} s";
}
