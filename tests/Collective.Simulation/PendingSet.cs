using Collective.Coordination;
using Collective.Protocol;

namespace Collective.Simulation;

/// <summary>Several launched tensors of a simulated peer that have one verdict.</summary>
internal sealed class PendingSet(OperationId id, Tag tag, ushort size)
{
    private readonly TaskCompletionSource<Outcome> _completion = new();

    public OperationId Id { get; } = id;

    public Tag Tag { get; } = tag;

    public ushort Size { get; } = size;

    public List<PendingReduce> Tensors { get; } = [];

    public Task<Outcome> Completion => _completion.Task;

    /// <summary>Whether it has ended: what is launched now is not sent.</summary>
    public bool Over { get; private set; }

    public void Finish(SimulatedPeer peer, Simulator simulator, Outcome outcome, Membership? seen)
    {
        Over = true;
        foreach (var tensor in Tensors)
        {
            tensor.Finish(peer, simulator, outcome, seen);
        }

        _ = Tell(outcome);
    }

    /// <summary>When all tensors are what they must be.</summary>
    private async Task Tell(Outcome outcome)
    {
        foreach (var tensor in Tensors)
        {
            await tensor.Completion.ConfigureAwait(false);
        }

        _completion.SetResult(outcome);
    }
}
