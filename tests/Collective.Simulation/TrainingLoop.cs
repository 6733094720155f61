namespace Collective.Simulation;

/// <summary>The canonical loop of an application: ask for newcomers, admit them, reduce with retries, go on. Everything it awaits completes on the simulator's thread.</summary>
internal sealed class TrainingLoop(Simulator simulator, SimulatedPeer peer)
{
    private const int BulkElements = 20_000;

    /// <summary>Callers whose patience were short for ever would keep each other from finishing.</summary>
    private const int ImpatientCallsMax = 8;

    private const long GatheringUs = 300_000;

    private int _calls;

    public async Task RunAsync()
    {
        try
        {
            await peer.ConnectAsync().ConfigureAwait(false);
            for (var step = 0; step < simulator.Scenario.Steps; step++)
            {
                // A newcomer joins where the others are: right after their update. Who was first waits a moment for company.
                var founds = step == 0 && simulator.Scenario.Gathers && peer.IsFounder;
                if (founds)
                {
                    await peer.PauseAsync(GatheringUs).ConfigureAwait(false);
                }

                if (simulator.Scenario.StepsAtTop)
                {
                    await StepAtTop(founds).ConfigureAwait(false);
                }
                else if ((step > 0 || founds) && await peer.QueryPendingAsync().ConfigureAwait(false))
                {
                    await peer.UpdateTopologyAsync().ConfigureAwait(false);
                }

                await Reduce().ConfigureAwait(false);
            }

            peer.Finish();
        }
        catch (CollectiveException e)
        {
            peer.Leave();
            simulator.Trace(peer.Name, () => $"its program ends: {e.Code}");
        }
    }

    /// <summary>One call a turn, newcomers included: their first is the one that admitted them. The founder's first has admitted nobody.</summary>
    private async Task StepAtTop(bool founds)
    {
        await peer.StepAsync().ConfigureAwait(false);
        if (founds)
        {
            await peer.StepAsync().ConfigureAwait(false);
        }
    }

    /// <summary>All tags at once, in any launch order. Who was alone for a moment repeats what that cost, if it has company again.</summary>
    private async Task Reduce()
    {
        var left = Enumerable.Range(1, simulator.Scenario.Tags).Select(tag => (ulong)tag).ToArray();
        while (left.Length > 0 && peer.WorldSize > 1)
        {
            var lonely = await Task.WhenAll([.. left.OrderBy(_ => simulator.Random.Next()).Select(WasAlone)]).ConfigureAwait(false);
            left = [.. lonely.OfType<ulong>()];
        }
    }

    /// <summary>Repeats one collective until it commits; gives its tag when this peer was alone instead.</summary>
    private async Task<ulong?> WasAlone(ulong tag)
    {
        while (true)
        {
            _calls++;
            var pending = peer.Launch(tag, CountOf(tag), _calls < ImpatientCallsMax ? simulator.Scenario.LaunchTimeoutMs : -1, inPlace: simulator.Random.Next(2) == 0);
            if (simulator.Scenario.Cancels && _calls <= ImpatientCallsMax && simulator.Random.Next(8) == 0)
            {
                simulator.At(simulator.DelayUs(), () => peer.Cancel(pending));
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

    private int CountOf(ulong tag) => tag <= (ulong)simulator.Scenario.BulkTags ? BulkElements : (int)tag * 37;
}
