using Collective.Protocol;

namespace Collective.Coordination;

/// <summary>What becomes of attempts: Go, Verdict, or an end that travels with a new epoch.</summary>
internal sealed partial class MasterStateMachine
{
    /// <summary>An attempt (or all that not all have entered) that ends for a reason of its own; the others of the group are aborted with the epoch's reason.</summary>
    private readonly record struct AttemptEnd(AttemptRecord? Attempt, ErrorCode Code, string Reason, bool All = false);

    private void OnCollectiveStart(PeerRecord peer, CollectiveStart start)
    {
        if (!InCurrentEpoch(peer, start.Attempt, start) || !Accept(peer, MasterPeerEvent.EnterAttempt, start))
        {
            return;
        }

        var group = GroupOf(peer);
        group.ChangedMs = _nowMs;
        var key = (start.Attempt.Tag, start.Attempt.Ordinal);
        if (!group.Attempts.TryGetValue(key, out var attempt))
        {
            attempt = new AttemptRecord(start.Attempt.ToWhole(), start.Descriptor.Tensors, peer, group.Ring.Count);
            group.Attempts.Add(key, attempt);
        }

        if (!attempt.HasEntered(peer) && Overdone(peer, start.Descriptor.Tensors) is { } overdone)
        {
            Evict(peer, overdone);
            return;
        }

        if (!attempt.Enter(peer, start.Attempt.Tensor, start.Descriptor))
        {
            Evict(peer, $"entered {start.Attempt} twice");
            return;
        }

        OnEntered(group, attempt, start, peer);
    }

    /// <summary>Counts an attempt that a peer enters; why that is one too many, if it is.</summary>
    private static string? Overdone(PeerRecord peer, int tensors)
    {
        peer.OpenAttempts++;
        peer.OpenTensors += tensors;
        return peer.OpenAttempts > Limits.OperationsInFlightMax ? $"has more than {Limits.OperationsInFlightMax} collectives in flight"
            : peer.OpenTensors > Limits.TensorsInFlightMax ? $"has more than {Limits.TensorsInFlightMax} tensors in flight"
            : null;
    }

    private void OnEntered(GroupRecord group, AttemptRecord attempt, CollectiveStart start, PeerRecord peer)
    {
        if (!attempt.AllBegun)
        {
            if (FindVoter(group, attempt) is { } voter)
            {
                EndCrossedCalls(group, voter, attempt, peer);
            }
            else
            {
                EndCrossedSync(group);
            }
        }
        else if (attempt.Mismatch is { } mismatch)
        {
            OpenEpoch(group, mismatch, new AttemptEnd(attempt, ErrorCode.Mismatch, mismatch));
        }
        else if (start.Descriptor.NeedsGo && attempt.AllHave(start.Attempt.Tensor))
        {
            SendToAll(group, new CollectiveGo(start.Attempt));
        }
    }

    private void OnCollectiveDone(PeerRecord peer, CollectiveDone done)
    {
        if (!InCurrentEpoch(peer, done.Attempt, done))
        {
            return;
        }

        var group = GroupOf(peer);
        group.ChangedMs = _nowMs;
        if (!group.Attempts.TryGetValue((done.Attempt.Tag, done.Attempt.Ordinal), out var attempt) && !done.Ok)
        {
            return; // A wish to abort that crossed with the verdict.
        }

        if (!Accept(peer, MasterPeerEvent.FinishAttempt, done))
        {
            return;
        }

        if (attempt is null || !(done.Ok ? attempt.HasEnteredAll(peer) : attempt.HasEntered(peer)))
        {
            Evict(peer, $"finished {done.Attempt}, which it had not entered{(attempt?.Tensors > 1 ? " with all tensors" : "")}");
            return;
        }

        if (done.Ok && attempt.HasPromised(peer))
        {
            Evict(peer, $"spoke about {done.Attempt} again after its promise");
            return;
        }

        if (!done.Ok)
        {
            OpenEpoch(group, $"peer {peer.Id.ToShortString()} gave up {done.Attempt.Tag} ({done.Detail}){Unfinished(group, attempt, peer)}");
            return;
        }

        attempt.Promise(peer);

        // Commit needs the promise of every member of the epoch: never around a missing one.
        if (attempt.AllPromised)
        {
            group.Attempts.Remove((done.Attempt.Tag, done.Attempt.Ordinal));
            ForgetLinkTrouble(group);
            foreach (var member in group.Ring)
            {
                LeaveAttempt(member, attempt);
            }

            SendToAll(group, new Verdict(attempt.Key));
        }
    }

    /// <summary>Messages about older epochs are settled already; about newer ones, or while the ring does not stand, they break the protocol.</summary>
    private bool InCurrentEpoch(PeerRecord peer, AttemptKey attempt, Message message)
    {
        if (!peer.Admitted)
        {
            Evict(peer, $"sent {message.Kind} while {peer.State}: not allowed by the protocol");
            return false;
        }

        var group = GroupOf(peer);
        if (attempt.Epoch < group.Epoch)
        {
            return false;
        }

        if (attempt.Epoch > group.Epoch || !group.Standing)
        {
            Evict(peer, $"sent {message.Kind} for {attempt}, which does not stand");
            return false;
        }

        return true;
    }

    /// <summary>Ends all open attempts of the group and gives the decisions that the next epoch carries.</summary>
    private Decision[] EndAttempts(GroupRecord group, string reason, AttemptEnd end)
    {
        var decisions = new List<Decision>();
        foreach (var attempt in group.Attempts.Values)
        {
            var (code, text) = attempt == end.Attempt || (end.All && !attempt.AllEntered) ? (end.Code, end.Reason)
                : attempt.Mismatch is { } mismatch ? (ErrorCode.Mismatch, mismatch)
                : (ErrorCode.OperationAborted, reason);
            if (code != ErrorCode.OperationAborted)
            {
                decisions.Add(new Decision(attempt.Key.Tag, attempt.Key.Ordinal, Committed: false, code, text));
            }

            Report(MasterEventKind.AttemptAborted, null, $"{attempt.Key} aborted ({attempt.Entered} of {group.Ring.Count} had entered, {attempt.Promised} had finished): {text}", group);
            foreach (var member in group.Ring.Where(attempt.HasEntered))
            {
                LeaveAttempt(member, attempt);
            }
        }

        group.Attempts.Clear();
        return [.. decisions.Take(Limits.DecisionsMax)];
    }

    private static void LeaveAttempt(PeerRecord member, AttemptRecord attempt)
    {
        member.OpenTensors -= attempt.TensorsOf(member);
        if (--member.OpenAttempts == 0)
        {
            Move(member, MasterPeerEvent.AttemptsEnded);
        }
    }

    private void SendToAll(GroupRecord group, Message message)
    {
        foreach (var peer in group.Ring)
        {
            Emit(new MasterOutput.Send(peer.Connection, message));
        }
    }
}
