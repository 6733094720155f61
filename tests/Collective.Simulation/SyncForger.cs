using Collective.Coordination;
using Collective.Protocol;

namespace Collective.Simulation;

/// <summary>Sabotage of syncs: what the master is made to believe, behind the judge's back.</summary>
internal sealed class SyncForger(Sabotage sabotage, MasterStateMachine master)
{
    private readonly Dictionary<ConnectionId, SharedStateVote> _open = [];
    private readonly Dictionary<uint, SharedStateVote> _dead = [];
    private readonly Dictionary<ConnectionId, uint> _groups = [];

    public Message Forged(ConnectionId from, Message message)
    {
        if (message is SharedStateVote && sabotage == Sabotage.ForgottenVeterans)
        {
            foreach (var peer in master.Peers)
            {
                peer.HasSynced = false;
            }
        }

        if (message is SharedStateVote vote && sabotage == Sabotage.DeadVoteCounts)
        {
            _open[from] = vote;
            _groups[from] = master.Peers.First(p => p.Connection == from).Group.Value;
            return _dead.Remove(_groups[from], out var dead) ? dead with { Request = vote.Request } : vote;
        }

        return message is SharedStateDone { Ok: false } done && sabotage == Sabotage.FailureTakenForPromise ? done with { Ok = true } : message;
    }

    public void Lost(ConnectionId connection)
    {
        if (_open.Remove(connection, out var vote))
        {
            _dead[_groups[connection]] = vote;
        }
    }

    public void Stepped(IReadOnlyList<MasterOutput> outputs)
    {
        foreach (var output in outputs)
        {
            if (output is MasterOutput.Send { Message: SharedStatePlan or SharedStateFinished or Dismissed } send)
            {
                _open.Remove(send.Connection);
            }

            if (output is MasterOutput.Report { Event: { Kind: MasterEventKind.SyncFailed } failed } && sabotage == Sabotage.FailureUsesRevision)
            {
                var group = master.Groups.First(g => g.Group == failed.Group);
                group.LastSync = group.LastSync is { } last ? last with { Revision = last.Revision.Next() } : null;
            }
        }
    }
}
