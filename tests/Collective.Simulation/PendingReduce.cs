using Collective.Coordination;
using Collective.Protocol;
using Collective.Transport;

namespace Collective.Simulation;

/// <summary>A launched all-reduce of a simulated peer: the real operation on real memory, and what its buffers must hold at the end.</summary>
internal sealed class PendingReduce
{
    private readonly TaskCompletionSource<Outcome> _completion = new();
    private readonly int[] _original;
    private readonly int[] _source;
    private readonly int[] _destination;
    private AttemptKey? _attempt;
    private IReadOnlyList<PeerId> _contributors = [];

    public PendingReduce(AllReduceOperation operation, int[] contribution, bool inPlace)
    {
        Operation = operation;
        _original = contribution;
        _source = [.. contribution];
        _destination = inPlace ? _source : new int[contribution.Length];
        operation.Pin(Buffers.AsBytes(_source.AsMemory()), Buffers.AsBytes(_destination.AsMemory()));
    }

    public AllReduceOperation Operation { get; }

    public Task<Outcome> Completion => _completion.Task;

    public int Contributors => _contributors.Count;

    public void Start(SimulatedPeer peer, AttemptKey attempt, Membership membership, World world, Simulator simulator)
    {
        _attempt = attempt;
        _contributors = world.Peers;
        simulator.Ledger.Entered(attempt, Operation.Descriptor, peer.Id, _original);
        Operation.StartRing(peer.Transport, attempt, membership, world);
    }

    /// <summary>The verdict has come; the application hears it once no link touches the buffers.</summary>
    public void Finish(SimulatedPeer peer, Simulator simulator, Outcome outcome, Membership? seen)
    {
        if (_attempt is { } attempt && seen is not null)
        {
            simulator.Ledger.Seen($"the end of {attempt}", seen, peer.Name);
        }

        var before = simulator.Scenario.Sabotage == Sabotage.SkipRestore && !outcome.Succeeded ? _source.ToArray() : null;
        Operation.Finish(outcome);
        Await(peer, simulator, outcome, before);
    }

    private void Await(SimulatedPeer peer, Simulator simulator, Outcome outcome, int[]? withoutRestore)
    {
        if (!Operation.Completion.IsCompleted)
        {
            peer.After(simulator.HopUs(), () => Await(peer, simulator, outcome, withoutRestore));
            return;
        }

        _ = Operation.Completion.Exception;
        withoutRestore?.CopyTo(_source, 0);
        if (!peer.Alive && outcome.Succeeded)
        {
            return;
        }

        if (outcome.Succeeded)
        {
            CheckResult(peer, simulator);
        }
        else
        {
            Ledger.Input(_attempt, _source, _original, peer.Name);
            if (_attempt is { } attempt && peer.Alive && outcome.Code is ErrorCode.OperationAborted or ErrorCode.TimedOut)
            {
                simulator.Ledger.Verdict(attempt, committed: false, peer.Name);
            }
        }

        if (peer.Alive)
        {
            _completion.SetResult(outcome);
        }
    }

    private void CheckResult(SimulatedPeer peer, Simulator simulator)
    {
        var attempt = _attempt!.Value;
        if (simulator.Scenario.Sabotage == Sabotage.FlipResultBit && peer.Index == 0)
        {
            _destination[0] ^= 1;
        }

        simulator.Ledger.Verdict(attempt, committed: true, peer.Name);
        simulator.Ledger.Result(attempt, _destination, _contributors, peer.Name);
    }
}
