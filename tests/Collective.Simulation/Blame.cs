using Collective.Coordination;
using Collective.Protocol;

namespace Collective.Simulation;

/// <summary>Guarantee G5: who is removed deserved it, is told why, and no group hears of the trouble of another.</summary>
internal sealed class Blame(Simulator simulator)
{
    private const long WindowUs = 60_000_000;

    /// <summary>Of the heartbeat timeout, what must really have been silence: the rest is the time since the last heartbeat.</summary>
    private const long SilenceUs = ((Scenario.HeartbeatTimeoutMs * 4L / 5) - 500) * 1000;

    private readonly Dictionary<PeerId, string> _evicted = [];

    /// <summary>Who was evicted, and what the log says.</summary>
    public IReadOnlyDictionary<PeerId, string> Evicted => _evicted;

    /// <summary>What ended peers, other than their own wish or death.</summary>
    public List<Outcome> Ended { get; } = [];

    /// <summary>Which epochs of which groups were opened, and why.</summary>
    public List<(uint Group, string Reason)> Epochs { get; } = [];

    public void MasterReports(MasterEvent what)
    {
        if (what.Kind == MasterEventKind.PeerDismissed)
        {
            _evicted[what.Peer] = what.Text; // Whether it does not fit the judge of syncs knows.
        }
        else if (what.Kind == MasterEventKind.PeerEvicted)
        {
            _evicted[what.Peer] = what.Text;
            var peer = simulator.PeerOf(what.Peer);
            Ledger.Require(IsDeserved(peer, what.Text), $"G5: an innocent is evicted: {peer.Name}: {what.Text}");
        }
        else if (what.Kind is MasterEventKind.EpochOpened or MasterEventKind.AttemptAborted or MasterEventKind.SyncFailed or MasterEventKind.HolderFailed && simulator.Scenario.Groups > 1)
        {
            CheckIsolation(what);
        }

        if (what.Kind == MasterEventKind.EpochOpened)
        {
            Epochs.Add((what.Group.Value, what.Text));
        }
    }

    /// <summary>A peer that did nothing wrong may end for what happened to it only, and hears what that was.</summary>
    public void PeerEnded(SimulatedPeer peer, Outcome outcome)
    {
        if (!outcome.Succeeded)
        {
            Ended.Add(outcome);
        }

        if (outcome.Succeeded || !simulator.Master.Alive || peer.ControlReset)
        {
            return;
        }

        var evicted = _evicted.TryGetValue(peer.Id, out var reason);
        switch (outcome.Code)
        {
            case ErrorCode.Evicted:
                Ledger.Require(evicted, $"G5: {peer} believes that it was evicted, and the master does not");
                Ledger.Require(reason!.Contains(Start(outcome.Reason.Split(": ", 2)[1]), StringComparison.Ordinal), $"G5: {peer} hears another reason than the log: {outcome.Reason}");
                break;
            case ErrorCode.MasterLost or ErrorCode.MasterUnreachable:
                var silentUs = simulator.Master.Silent.Covered(simulator.NowUs - WindowUs, simulator.NowUs) + simulator.Network.CutUs(Network.Master, peer.Index, WindowUs);
                var stoodStill = outcome.Code == ErrorCode.MasterUnreachable && WasSilent(peer); // In its own connect.
                Ledger.Require(silentUs >= SilenceUs || stoodStill, $"G5: {peer} did nothing wrong and ended with {outcome.Code}: {outcome.Reason}");
                break;
            case ErrorCode.MasterRefused:
                Ledger.Require(WasSilent(peer) || simulator.Peers.Count > Limits.PeersMax, $"G5: {peer} was not late and ended with {outcome.Code}: {outcome.Reason}");
                break;
            case ErrorCode.TimedOut when simulator.Scenario.KeptMinimum > 0: break; // Its company never came.
            case ErrorCode.LimitExceeded:
                Ledger.Require(peer.IsShort, $"G5: {peer} lacks nothing and ended with {outcome.Code}: {outcome.Reason}");
                break;
            default:
                throw new SimulationException($"G5: {peer} did nothing wrong and ended with {outcome.Code}: {outcome.Reason}");
        }
    }

    /// <summary>Long reasons are cut on the wire.</summary>
    private static string Start(string reason) => reason[..Math.Min(reason.Length, Limits.ReasonBytesMax - 100)];

    private bool IsDeserved(SimulatedPeer peer, string reason)
        => reason.Contains("no heartbeat", StringComparison.Ordinal) ? WasSilent(peer)
            : reason.Contains("both got bytes", StringComparison.Ordinal) ? simulator.Scenario.Liar == peer.Index
            : (reason.Contains("data cannot flow", StringComparison.Ordinal) || reason.Contains("did not acknowledge", StringComparison.Ordinal)) && IsUnreachable(peer);

    private bool WasSilent(SimulatedPeer peer) => peer.Silent.Covered(simulator.NowUs - WindowUs, simulator.NowUs) >= SilenceUs;

    /// <summary>Data between it and others of its group was really cut, for longer than a dead peer goes unnoticed, and no ring order avoids all such pairs.</summary>
    private bool IsUnreachable(SimulatedPeer peer)
    {
        bool IsCut(SimulatedPeer a, SimulatedPeer b) => simulator.Network.CutUs(a.Index, b.Index, WindowUs) >= SilenceUs;
        var ring = simulator.Master.Machine.Groups.FirstOrDefault(g => g.Group == peer.Group)?.Ring ?? [];
        var group = ring.Select(p => simulator.PeerOf(p.Id)).Append(peer).ToList(); // It is out already.
        if (!group.Exists(other => other != peer && IsCut(peer, other)))
        {
            return false;
        }

        var members = group.ConvertAll(p => p.Id);
        var pairs = group.SelectMany(a => group.Where(b => b.Index > a.Index && IsCut(a, b)).Select(b => PeerPair.Of(a.Id, b.Id))).ToHashSet();
        return RingOrder.Choose(members, members, pairs) is null;
    }

    private void CheckIsolation(MasterEvent what)
    {
        foreach (var peer in simulator.Peers.Where(p => p.Id != default && p.Group != what.Group))
        {
            Ledger.Require(!what.Text.Contains(peer.Id.ToShortString(), StringComparison.Ordinal), $"a fault of {peer.Name} in {peer.Group} is felt by {what.Group}: {what.Text}");
        }
    }
}
