using Collective.Coordination;

namespace Collective;

/// <summary>Outcomes as exceptions: what happened, then what to do.</summary>
internal static class Failures
{
    public static CollectiveException Of(Outcome outcome, World? seen = null)
        => new(outcome.Code, Hint(outcome.Code) is { Length: > 0 } hint ? $"{Sentence(outcome.Reason)} {hint}" : Sentence(outcome.Reason)) { World = seen };

    private static string Hint(ErrorCode code) => code switch
    {
        ErrorCode.OperationAborted => "The operation was aborted for every peer of the group and inputs are what they were: call it again.",
        ErrorCode.Mismatch => "Nothing was combined and inputs are what they were: make the calls equal on all peers.",
        ErrorCode.CrossedCalls => "Inputs are what they were: make the same sequence of calls on all peers.",
        ErrorCode.TimedOut => "Call it again, with a longer timeout if the others need more time.",
        ErrorCode.MasterLost => "In-place inputs are what they were; this communicator is disconnected: connect a new one when a master is there, and resume from your last state.",
        ErrorCode.Evicted => "This communicator is disconnected: connect a new one to take part again.",
        _ => "",
    };

    private static string Sentence(string reason)
        => reason.Length == 0 ? "" : char.ToUpperInvariant(reason[0]) + reason[1..] + (reason[^1] is '.' or '!' or '?' ? "" : ".");
}
