using Collective.Protocol;

namespace Collective.Simulation;

/// <summary>
/// The canonical loops of an application: ask for newcomers, admit them, synchronise the shared state, reduce with retries, go on. Everything it awaits completes on the simulator's thread.
/// </summary>
internal sealed class TrainingLoop(Simulator simulator, SimulatedPeer peer)
{
    private const int BulkElements = 20_000;

    /// <summary>Callers whose patience were short for ever would keep each other from finishing.</summary>
    private const int ImpatientCallsMax = 8;

    private const int FailedSyncsMax = 5;

    private const long GatheringUs = 300_000;

    private int _calls;

    /// <summary>The reduction that goes on while the next step begins.</summary>
    private Task<bool>? _reducing;

    private Random Random => simulator.Random;

    private Scenario Scenario => simulator.Scenario;

    public async Task RunAsync()
    {
        try
        {
            await peer.ConnectAsync().ConfigureAwait(false);
            for (var step = 0; step < Scenario.Steps; step++)
            {
                var changed = await Gather(step).ConfigureAwait(false);
                await Step(step, changed).ConfigureAwait(false);
            }

            await Apply().ConfigureAwait(false);
            peer.Finish();
        }
        catch (CollectiveException e) when (e.Code is not (ErrorCode.CrossedCalls or ErrorCode.InvalidArgument or ErrorCode.InvalidUsage or ErrorCode.PendingOperations))
        {
            peer.Leave();
            simulator.Trace(peer.Name, () => $"its program ends: {e.Code}");
        }
        catch (Exception e)
        {
            simulator.Break(peer.Name, e);
        }
    }

    /// <summary>Whoever loses patience before all have voted calls again: all peers make the same calls.</summary>
    private async Task Optimize()
    {
        for (var done = !simulator.Scenario.Optimizes; !done;)
        {
            _calls++;
            try
            {
                var impatient = _calls < ImpatientCallsMax;
                long? cancelAfterUs = impatient && simulator.Scenario.Cancels && simulator.Random.Next(4) == 0 ? simulator.Random.NextInt64(5_000_000) : null;
                await peer.OptimizeTopologyAsync(impatient ? simulator.Scenario.LaunchTimeoutMs : -1, cancelAfterUs).ConfigureAwait(false);
                simulator.Optimized++;
                done = true;
            }
            catch (CollectiveException e) when (e.Code == ErrorCode.TimedOut)
            {
                simulator.Trace(peer.Name, () => e.Message);
            }
        }
    }

    /// <summary>Admits newcomers; whether the world is another than in the step before.</summary>
    private async Task<bool> Gather(int step)
    {
        // A newcomer joins where the others are: right after their update. Who was first waits a moment for company.
        var founds = step == 0 && Scenario.Gathers && peer.IsFounder;
        if (founds)
        {
            await peer.PauseAsync(GatheringUs).ConfigureAwait(false);
        }

        if (Scenario.StepsAtTop)
        {
            return await StepAtTop(founds).ConfigureAwait(false);
        }

        if ((step > 0 || founds) && await peer.QueryPendingAsync().ConfigureAwait(false))
        {
            await (_reducing ?? Task.CompletedTask).ConfigureAwait(false);
            await peer.UpdateTopologyAsync().ConfigureAwait(false);
            await Optimize().ConfigureAwait(false);
            return true;
        }

        if (step == 0 && !peer.IsFounder)
        {
            await Optimize().ConfigureAwait(false); // As the others do after the update that has admitted this peer.
        }

        return step == 0;
    }

    /// <summary>One call a turn, newcomers included: their first is the one that has admitted them. The founder's first has admitted nobody.</summary>
    private async Task<bool> StepAtTop(bool founds)
    {
        await (_reducing ?? Task.CompletedTask).ConfigureAwait(false);
        var changed = await peer.StepAsync().ConfigureAwait(false);
        if (founds)
        {
            await peer.StepAsync().ConfigureAwait(false);
        }

        if (changed)
        {
            await Optimize().ConfigureAwait(false);
        }

        return changed;
    }

    private async Task Step(int step, bool changed)
    {
        switch (Scenario.Syncs)
        {
            case SyncPolicy.HandOver:
                await HandOver(step, changed).ConfigureAwait(false);
                return;
            case SyncPolicy.Guarded when changed:
            case SyncPolicy.EveryStep:
                await Synchronise(SyncStrategy.EnforcePopular).ConfigureAwait(false);
                break;
        }

        _reducing = Reduce();
        await Apply().ConfigureAwait(false);
    }

    /// <summary>One step behind: who has taken part in the reduction before hands its result over to who has not.</summary>
    private async Task HandOver(int step, bool changed)
    {
        if (changed)
        {
            await Synchronise(SyncStrategy.EnforcePopular).ConfigureAwait(false);
        }

        var newcomer = _reducing is null;
        await Apply().ConfigureAwait(false);
        if (changed && (!newcomer || peer.State.Revision.Value > 1))
        {
            await Synchronise(newcomer ? SyncStrategy.ReceiveOnly : SyncStrategy.SendOnly).ConfigureAwait(false);
        }

        simulator.Trace(peer.Name, () => $"step {step}");
        _reducing = Reduce();
    }

    private async Task Apply()
    {
        if (_reducing is { } reducing && await reducing.ConfigureAwait(false))
        {
            peer.State.Advance();
        }

        _reducing = null;
    }

    /// <summary>Repeats a sync until it succeeds. What all are told in the same way ends it for all: too many failures, or nobody who sends.</summary>
    private async Task Synchronise(SyncStrategy strategy)
    {
        for (var failed = 0; failed < FailedSyncsMax;)
        {
            if (Scenario.Corruptions && strategy == SyncStrategy.EnforcePopular && Random.Next(6) == 0)
            {
                peer.State.Corrupt(Random.Next(8));
            }

            var mistake = peer.Index == Scenario.Misfit ? SyncMistake.OtherType
                : Scenario.Mistakes && failed == 0 && Random.Next(5) == 0 ? (SyncMistake)Random.Next(1, 7)
                : SyncMistake.None;
            var sync = peer.Synchronise(strategy, Patience(), mistake);
            if (IsCancelled())
            {
                simulator.At(simulator.DelayUs(), () => peer.CancelSync(sync));
            }

            var outcome = await sync.Completion.ConfigureAwait(false);
            failed += outcome.Code == ErrorCode.TimedOut ? 0 : 1;
            switch (outcome.Code)
            {
                case 0:
                    peer.State.Revision = NextRevision(peer.State.Revision.Value);
                    return;
                case ErrorCode.Mismatch when strategy == SyncStrategy.ReceiveOnly && outcome.Reason.Contains("all peers chose", StringComparison.Ordinal): return;
                case ErrorCode.SyncFailed or ErrorCode.TimedOut or ErrorCode.Mismatch or ErrorCode.RevisionMismatch: break;
                default: throw Failures.Of(outcome);
            }
        }

        throw new CollectiveException(ErrorCode.SyncFailed, "too often");
    }

    /// <summary>Where revisions only grow they are numbers of steps, of which some are made between two syncs.</summary>
    private Revision NextRevision(ulong last) => new(last + 1 + (Scenario.Revisions == RevisionRule.Grows ? last % 4 : 0));

    /// <summary>All tags at once, in any launch order; whether all were reduced. Who was alone for a moment repeats what that cost, if it has company again.</summary>
    private async Task<bool> Reduce()
    {
        if (Scenario.Sets)
        {
            return await ReduceSet().ConfigureAwait(false);
        }

        var left = Enumerable.Range(1, Scenario.Tags).Select(tag => (ulong)tag).ToArray();
        while (left.Length > 0 && peer.WorldSize > 1)
        {
            var lonely = await Task.WhenAll([.. left.OrderBy(_ => Random.Next()).Select(WasAlone)]).ConfigureAwait(false);
            left = [.. lonely.OfType<ulong>()];
        }

        return left.Length == 0;
    }

    /// <summary>The same as one set, whose tensors become ready one after the other, in another order on each peer.</summary>
    private async Task<bool> ReduceSet()
    {
        while (peer.WorldSize > 1)
        {
            var set = peer.BeginSet(tag: 1, Scenario.Tags, Patience());
            if (IsCancelled())
            {
                simulator.At(simulator.DelayUs(), () => peer.Cancel(set.Id));
            }

            foreach (var position in Enumerable.Range(0, Scenario.Tags).OrderBy(_ => Random.Next()).ToArray())
            {
                if (Random.Next(3) == 0)
                {
                    await peer.PauseAsync(simulator.DelayUs()).ConfigureAwait(false);
                }

                peer.LaunchTensor(set, position, CountOf((ulong)position + 1), inPlace: Random.Next(2) == 0);
            }

            var outcome = await set.Completion.ConfigureAwait(false);
            if (outcome.Succeeded)
            {
                return true;
            }

            if (outcome.Code is not (ErrorCode.OperationAborted or ErrorCode.TimedOut or ErrorCode.TooFewPeers))
            {
                throw Failures.Of(outcome);
            }
        }

        return false;
    }

    /// <summary>Repeats one collective until it commits; gives its tag when this peer was alone instead.</summary>
    private async Task<ulong?> WasAlone(ulong tag)
    {
        while (true)
        {
            var pending = peer.Launch(tag, CountOf(tag), Patience(), inPlace: Random.Next(2) == 0);
            if (IsCancelled())
            {
                simulator.At(simulator.DelayUs(), () => peer.Cancel(pending.Operation.Id));
            }

            var outcome = await pending.Completion.ConfigureAwait(false);
            if (outcome.Succeeded || outcome.Code == ErrorCode.TooFewPeers)
            {
                return outcome.Succeeded ? null : tag;
            }

            if (outcome.Code is not (ErrorCode.OperationAborted or ErrorCode.TimedOut))
            {
                throw Failures.Of(outcome);
            }
        }
    }

    /// <summary>How long the next call may take.</summary>
    private int Patience() => ++_calls < ImpatientCallsMax ? Scenario.LaunchTimeoutMs : -1;

    private bool IsCancelled() => Scenario.Cancels && _calls <= ImpatientCallsMax && Random.Next(8) == 0;

    private int CountOf(ulong tag) => tag <= (ulong)Scenario.BulkTags ? BulkElements : (int)tag * 37;
}
