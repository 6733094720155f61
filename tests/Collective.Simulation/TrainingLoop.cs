namespace Collective.Simulation;

/// <summary>The canonical loop of an application: ask for newcomers, admit them, reduce with retries, go on. Everything it awaits completes on the simulator's thread.</summary>
internal sealed class TrainingLoop(Simulator simulator, SimulatedPeer peer)
{
    private const int BulkElements = 20_000;

    public async Task RunAsync()
    {
        try
        {
            await peer.ConnectAsync().ConfigureAwait(false);
            for (var step = 0; step < simulator.Scenario.Steps; step++)
            {
                // A newcomer joins where the others are: right after their update.
                if (step > 0 && await peer.QueryPendingAsync().ConfigureAwait(false))
                {
                    await peer.UpdateTopologyAsync().ConfigureAwait(false);
                }

                await Reduce().ConfigureAwait(false);
            }

            peer.Finish();
        }
        catch (CollectiveException e)
        {
            simulator.Trace(peer.Name, () => $"its program ends: {e.Code}");
        }
    }

    private async Task Reduce()
    {
        var left = Enumerable.Range(1, simulator.Scenario.Tags).Select(t => (ulong)t).ToList();
        while (left.Count > 0 && peer.WorldSize > 1)
        {
            // Any launch order on any peer.
            var launched = left.OrderBy(_ => simulator.Random.Next()).Select(tag => (tag, peer.Launch(tag, CountOf(tag), simulator.Random.Next(2) == 0))).ToList();
            left.Clear();
            foreach (var (tag, pending) in launched)
            {
                var outcome = await pending.Completion.ConfigureAwait(false);
                if (outcome.Code == ErrorCode.OperationAborted)
                {
                    left.Add(tag);
                }
                else if (!outcome.Succeeded && outcome.Code != ErrorCode.TooFewPeers)
                {
                    throw Failures.Of(outcome);
                }
            }
        }
    }

    private int CountOf(ulong tag) => tag <= (ulong)simulator.Scenario.BulkTags ? BulkElements : (int)tag * 37;
}
