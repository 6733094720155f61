using Collective.Coordination;
using Collective.Protocol;

namespace Collective.Simulation;

/// <summary>
/// What peers read of the world after a call: those whom the master answers together read the same, and a newcomer reads what the others read whose update admitted it.
/// </summary>
internal sealed class WorldJudge(Ledger ledger)
{
    private readonly Dictionary<(PeerId Peer, RequestNumber Request), string> _answers = [];
    private readonly Dictionary<PeerId, string> _admissions = [];
    private long _steps;

    /// <summary>What the master sends in one step.</summary>
    public void Answered(IEnumerable<(SimulatedPeer Peer, Message Message)> sent)
    {
        _steps++;
        foreach (var (peer, message) in sent)
        {
            var answer = $"answer {_steps} to {peer.Group}";
            switch (message)
            {
                case EpochStands: _admissions.TryAdd(peer.Id, answer); break;
                case TopologyUpdated { Error: 0 } m: _answers[(peer.Id, m.Request)] = answer; break;
                case SharedStateFinished { Error: not ErrorCode.TimedOut } m: _answers[(peer.Id, m.Request)] = answer; break;
            }
        }
    }

    /// <summary>Connect has ended.</summary>
    public void Connected(SimulatedPeer peer, Membership world) => ledger.Seen(_admissions[peer.Id], world, peer.Name);

    /// <summary>A vote or sync has ended.</summary>
    public void Ended(SimulatedPeer peer, RequestNumber request, Membership? seen)
    {
        if (_answers.TryGetValue((peer.Id, request), out var answer))
        {
            Ledger.Require(seen is not null, $"{peer.Name} is not told the world of {answer}");
            ledger.Seen(answer, seen!, peer.Name);
        }
    }
}
