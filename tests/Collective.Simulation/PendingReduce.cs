using System.Runtime.InteropServices;
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

    public void Start(ITransport transport, AttemptKey attempt, Membership membership, World world, int segmentBytes)
    {
        _attempt = attempt;
        _contributors = world.Peers;
        Operation.StartRing(transport, attempt, membership, world, segmentBytes);
    }

    /// <summary>The verdict has come; the application hears it once no link touches the buffers.</summary>
    public void Finish(SimulatedPeer peer, Simulator simulator, Outcome outcome)
    {
        var before = simulator.Scenario.Sabotage == Sabotage.SkipRestore && !outcome.Succeeded ? _source.ToArray() : null;
        Operation.Finish(outcome);
        Await(peer, simulator, outcome, before);
    }

    private void Await(SimulatedPeer peer, Simulator simulator, Outcome outcome, int[]? withoutRestore)
    {
        if (!Operation.Completion.IsCompleted)
        {
            simulator.At(simulator.HopUs(), () => Await(peer, simulator, outcome, withoutRestore));
            return;
        }

        _ = Operation.Completion.Exception;
        withoutRestore?.CopyTo(_source, 0);
        if (!peer.Alive)
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
            if (_attempt is { } attempt && outcome.Code == ErrorCode.OperationAborted)
            {
                simulator.Ledger.Verdict(attempt, committed: false, peer.Name);
            }
        }

        _completion.SetResult(outcome);
    }

    private void CheckResult(SimulatedPeer peer, Simulator simulator)
    {
        var attempt = _attempt!.Value;
        if (simulator.Scenario.Sabotage == Sabotage.FlipResultBit && peer.Index == 0)
        {
            _destination[0] ^= 1;
        }

        var expected = new int[_original.Length];
        foreach (var id in _contributors)
        {
            var contributor = simulator.Peers.Find(p => p.Id == id)!;
            var contribution = SimulatedPeer.Contribution(contributor.Index, attempt.Tag.Value, expected.Length);
            for (var i = 0; i < expected.Length; i++)
            {
                expected[i] = unchecked(expected[i] + contribution[i]);
            }
        }

        simulator.Ledger.Verdict(attempt, committed: true, peer.Name);
        simulator.Ledger.Result(attempt, _destination, expected, peer.Name);
    }
}
