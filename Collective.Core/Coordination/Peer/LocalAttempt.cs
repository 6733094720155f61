using Collective.Protocol;

namespace Collective.Coordination;

/// <summary>One launched collective of this peer.</summary>
internal sealed class LocalAttempt(OperationId operation, Tag tag, CollectiveDescriptor descriptor, Deadline deadline)
{
    public OperationId Operation { get; } = operation;

    public Tag Tag { get; } = tag;

    public CollectiveDescriptor Descriptor { get; } = descriptor;

    public Deadline Deadline { get; set; } = deadline;

    public AttemptState State { get; private set; }

    /// <summary>Set when the attempt is entered.</summary>
    public AttemptKey Key { get; private set; }

    /// <summary>Why it ends, once it does not end well.</summary>
    public Outcome Outcome { get; private set; }

    /// <summary>Why this peer itself wants it aborted, if it does: what its own caller hears when it is.</summary>
    public Outcome Wish { get; set; }

    /// <summary>The members that contribute, once it is entered.</summary>
    public Membership? Membership { get; private set; }

    public void Enter(AttemptKey key, Membership membership)
    {
        Key = key;
        Membership = membership;
        Move(AttemptEvent.Enter);
    }

    /// <summary>Keeps what ended it first; later epochs do not change that.</summary>
    public void End(Outcome outcome)
    {
        Move(AttemptEvent.EpochEnded);
        Outcome = Outcome.Succeeded ? outcome : Outcome;
    }

    /// <summary>What its caller hears, given what the master has established until the ring stood.</summary>
    public Outcome OutcomeFor(string established)
    {
        var outcome = Outcome.Code == ErrorCode.OperationAborted && established.Length > 0 ? Outcome with { Reason = established } : Outcome;
        return outcome.Code == ErrorCode.OperationAborted && !Wish.Succeeded ? new Outcome(Wish.Code, $"{Wish.Reason}: {outcome.Reason}") : outcome;
    }

    public void Move(AttemptEvent @event)
    {
        var next = PeerTables.Next(State, @event);
        Invariant.Holds(next is not null);
        State = next.Value;
    }
}
