using Collective.Coordination;
using Collective.Protocol;

namespace Collective.Simulation;

/// <summary>What an application does wrong in a sync, once.</summary>
internal enum SyncMistake
{
    None,
    RevisionTooHigh,
    RevisionTooLow,
    OtherType,
    OtherSize,
    MissingKey,
    OtherStrategy,
}

/// <summary>One sync of a simulated peer: it serves and fetches as the real exchange does, with numbers in place of bytes.</summary>
internal sealed class SimulatedSync
{
    private const long PatienceUs = 2_000_000;
    private const int FailuresMax = 2;

    private readonly TaskCompletionSource<Outcome> _completion = new();
    private readonly Simulator _simulator;
    private readonly SimulatedPeer _peer;
    private readonly Dictionary<int, ulong> _staged = [];
    private readonly Dictionary<PeerId, Channel> _channels = [];
    private readonly Dictionary<PeerId, int> _failures = [];
    private readonly ulong[] _own;
    private SharedStatePlan? _plan;
    private int _left;

    public SimulatedSync(Simulator simulator, SimulatedPeer peer, RequestNumber request, SyncStrategy strategy)
    {
        _simulator = simulator;
        _peer = peer;
        _own = [.. peer.State.Contents];
        Request = request;
        Strategy = strategy;
    }

    public RequestNumber Request { get; }

    public SyncStrategy Strategy { get; }

    public Task<Outcome> Completion => _completion.Task;

    /// <summary>Whether it has ended: nothing is served or fetched any more.</summary>
    public bool Over { get; private set; }

    public int Fetched => _staged.Count;

    /// <summary>What this peer holds under a key if the sync succeeds.</summary>
    public ulong ResultOf(string key)
    {
        var index = Enumerable.Range(0, _peer.State.Count).First(i => _peer.State.KeyAt(i) == key);
        return _staged.TryGetValue(index, out var staged) ? staged : _own[index];
    }

    public void Fetch(SharedStatePlan plan)
    {
        _plan = plan;
        _left = plan.Fetches.Count;
        AccuseFalsely(plan);
        if (_left == 0)
        {
            _peer.Fetched(Request, ok: true, "");
        }

        foreach (var fetch in plan.Fetches)
        {
            Try(fetch, attempt: 0);
        }
    }

    /// <summary>It is no member any more.</summary>
    public void Lose(PeerId holder) => _failures[holder] = FailuresMax;

    public void Finish(Outcome outcome, Revision revision, IReadOnlyList<LeftOutPeer> leftOut)
    {
        Over = true;
        Ledger.Require(_own.AsSpan().SequenceEqual(_peer.State.Contents), $"G6: the state of {_peer.Name} changes during a sync");
        _simulator.SyncJudge.Ended(_peer, this, outcome, revision, leftOut);
        if (outcome.Succeeded)
        {
            _peer.State.Write(_staged);
            _peer.State.Revision = revision;
        }

        _completion.SetResult(outcome);
    }

    private void Try(StateFetch fetch, int attempt)
    {
        if (Over || _left < 0)
        {
            return;
        }

        var holders = _plan!.HolderSets[fetch.HolderSet].Select(n => _plan.Holders[n].Id).Where(h => _failures.GetValueOrDefault(h) < FailuresMax).ToList();
        if (holders.Count == 0)
        {
            _left = -1;
            _peer.Fetched(Request, ok: false, $"no holder of \"{_peer.State.KeyAt(fetch.Index)}\" is left");
            return;
        }

        Ask(fetch, holders[attempt % holders.Count], attempt);
    }

    private void Ask(StateFetch fetch, PeerId id, int attempt)
    {
        var answered = false;
        var holder = _simulator.PeerOf(id);
        void Answer(ulong? content)
        {
            if (!answered)
            {
                answered = true;
                Receive(fetch, id, content, attempt);
            }
        }

        ChannelTo(holder).Send(() => holder.Run(() => holder.Serve(_peer, _peer.State.KeyAt(fetch.Index), Answer)));
        _peer.After(PatienceUs, () => _peer.Interruptible(() => Answer(null)));
    }

    private void Receive(StateFetch fetch, PeerId holder, ulong? content, int attempt)
    {
        if (Over || _left < 0)
        {
            return;
        }

        if (content is { } value && (_peer.State.MayDiffer(fetch.Index) || SimulatedState.HashOf(value) == fetch.Hash))
        {
            _staged[fetch.Index] = value;
            if (--_left == 0)
            {
                _left = -1;
                _peer.Fetched(Request, ok: true, "");
            }

            return;
        }

        _failures[holder] = content is null ? _failures.GetValueOrDefault(holder) + 1 : FailuresMax;
        _peer.HolderFailed(Request, holder, wrongBytes: content is not null);
        Try(fetch, attempt + 1);
    }

    private Channel ChannelTo(SimulatedPeer holder)
    {
        if (!_channels.TryGetValue(holder.Id, out var channel))
        {
            _channels.Add(holder.Id, channel = new Channel(_simulator, _peer.Index, holder.Index));
        }

        return channel;
    }

    /// <summary>A liar says of the first holder what is not true.</summary>
    private void AccuseFalsely(SharedStatePlan plan)
    {
        if (_simulator.Scenario.FalseAccuser == _peer.Index && plan.Fetches.Count > 0)
        {
            _peer.HolderFailed(Request, plan.Holders[plan.HolderSets[0][0]].Id, wrongBytes: true);
        }
    }
}
