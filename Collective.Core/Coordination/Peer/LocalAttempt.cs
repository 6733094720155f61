using Collective.Protocol;

namespace Collective.Coordination;

/// <summary>One launched collective of this peer.</summary>
internal sealed class LocalAttempt(OperationId operation, Tag tag, CollectiveDescriptor descriptor)
{
    public OperationId Operation { get; } = operation;

    public Tag Tag { get; } = tag;

    public CollectiveDescriptor Descriptor { get; } = descriptor;

    public AttemptState State { get; private set; }

    /// <summary>Set when the attempt is entered.</summary>
    public AttemptKey Key { get; private set; }

    /// <summary>Why it ends, once it does not end well.</summary>
    public Outcome Outcome { get; private set; }

    public void Enter(AttemptKey key)
    {
        Key = key;
        Move(AttemptEvent.Enter);
    }

    /// <summary>Keeps the first code; later reasons are added to the first.</summary>
    public void End(Outcome outcome)
    {
        Move(AttemptEvent.EpochEnded);
        Outcome = Outcome.Succeeded ? outcome
            : Outcome.Reason.Length < Limits.ReasonBytesMax ? Outcome with { Reason = $"{Outcome.Reason}; then {outcome.Reason}" }
            : Outcome;
    }

    public void Move(AttemptEvent @event)
    {
        var next = PeerTables.Next(State, @event);
        Invariant.Holds(next is not null);
        State = next.Value;
    }
}
