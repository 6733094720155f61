using Collective.Protocol;

namespace Collective.Coordination;

/// <summary>What has committed since the application last met the others: who repeats an aborted collective must not repeat that.</summary>
internal sealed partial class PeerStateMachine
{
    // The last ones, and how many there were. A step ends with a topology update or a sync, and where a tag of it is used again.
    private readonly List<Tag> _committed = [];
    private int _committedCount;

    private void BeginStep()
    {
        _committed.Clear();
        _committedCount = 0;
    }

    private void BeginsStepWith(Tag tag)
    {
        if (_committed.Contains(tag))
        {
            BeginStep();
        }
    }

    private void Committed(Tag tag)
    {
        if (_committed.Count == Limits.CommittedTagsKept)
        {
            _committed.RemoveAt(0);
        }

        _committed.Add(tag);
        _committedCount++;
    }

    /// <summary>An aborted collective is called again: the sentence says which others must not be.</summary>
    private Outcome WithWhatCommitted(Outcome outcome)
    {
        if (_committedCount == 0 || outcome.Code is not (ErrorCode.OperationAborted or ErrorCode.TimedOut))
        {
            return outcome;
        }

        var named = _committed.TakeLast(Limits.PeersNamedMax).ToList();
        var others = _committedCount > named.Count ? $" and {_committedCount - named.Count} others" : "";
        var (have, them) = _committedCount == 1 ? ("has", "it") : ("have", "them");
        return outcome with
        {
            Reason = $"{outcome.Reason}; since the last topology update or sync, {string.Join(", ", named)}{others} {have} committed, so do not repeat {them}"
                + " (tensors of one set commit together or not at all)",
        };
    }
}
