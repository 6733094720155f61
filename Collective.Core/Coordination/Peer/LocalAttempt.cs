using Collective.Protocol;

namespace Collective.Coordination;

/// <summary>One tensor of a launched collective of this peer.</summary>
internal sealed class LocalTensor(LocalAttempt attempt, OperationId operation, ushort position, CollectiveDescriptor descriptor)
{
    public LocalAttempt Attempt { get; } = attempt;

    public OperationId Operation { get; } = operation;

    public ushort Position { get; } = position;

    public CollectiveDescriptor Descriptor { get; } = descriptor;

    public AttemptKey Key => Attempt.Key with { Tensor = Position };

    /// <summary>Whether this peer holds its whole result.</summary>
    public bool Completed { get; set; }
}

/// <summary>One launched collective of this peer: one tensor, or several of which each is launched when the caller has it.</summary>
internal sealed class LocalAttempt(OperationId operation, Tag tag, int size, Deadline deadline)
{
    private readonly List<LocalTensor> _tensors = new(size == 1 ? 1 : 0);
    private readonly LocalTensor?[] _positions = new LocalTensor?[size];
    private int _completed;

    public OperationId Operation { get; } = operation;

    public Tag Tag { get; } = tag;

    /// <summary>Tensors it will have.</summary>
    public int Size { get; } = size;

    /// <summary>Those that were launched.</summary>
    public IReadOnlyList<LocalTensor> Tensors => _tensors;

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

    /// <summary>Whether it would be entered if the ring stood: not before its first tensor is launched.</summary>
    public bool WaitsForRing => State == AttemptState.Held && Tensors.Count > 0;

    public void Add(LocalTensor tensor)
    {
        Invariant.Holds(_positions[tensor.Position] is null);
        _positions[tensor.Position] = tensor;
        _tensors.Add(tensor);
    }

    public LocalTensor? At(ushort position) => position < _positions.Length ? _positions[position] : null;

    public void Enter(AttemptKey key, Membership membership)
    {
        Key = key;
        Membership = membership;
        Move(AttemptEvent.Enter);
    }

    /// <summary>Whether this peer holds the whole result, now that it holds that of this tensor.</summary>
    public bool Complete(LocalTensor tensor)
    {
        Invariant.Holds(!tensor.Completed);
        tensor.Completed = true;
        return ++_completed == Size;
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
