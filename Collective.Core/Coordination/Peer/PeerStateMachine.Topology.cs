using Collective.Protocol;

namespace Collective.Coordination;

/// <summary>This peer's part in an optimisation: its vote, and the probes that the master orders; and whom it reaches, when the master asks. The links of the epoch and everything else go on meanwhile.</summary>
internal sealed partial class PeerStateMachine
{
    private void OnOptimizeTopology(PeerInput.OptimizeTopology input) => Vote(new OptimizeVote(input.Request), input.Request, input.TimeoutMs, "optimize topology");

    private void OnProbeLink(ProbeLink probe) => Emit(new PeerOutput.Probe(_opened!.Key, _self, probe.Number, probe.From, probe.To));

    private void OnSurveyLinks(SurveyLinks survey)
    {
        if (survey.Epoch == Epoch)
        {
            var members = _opened!.Members;
            Emit(new PeerOutput.Survey(Epoch, [.. survey.Ranks.Where(r => r < members.Count).Select(r => (r, members[r]))]));
        }
    }

    private void OnSurveyed(PeerInput.Surveyed input)
    {
        if (State is PeerState.Wiring or PeerState.Ready && input.Epoch == Epoch)
        {
            Send(new LinksSurveyed(input.Epoch, input.Unreachable));
        }
    }

    private void OnProbeDone(PeerInput.ProbeDone input)
    {
        if (State is PeerState.Wiring or PeerState.Ready)
        {
            Send(new ProbeDone(input.Number, input.Ok, input.BytesPerSecond, input.Detail));
        }
    }
}
