using Collective.Protocol;

namespace Collective.Simulation;

/// <summary>
/// The loop of an application whose group must not become smaller than a minimum: step, synchronise the shared state when somebody was admitted, reduce. When members are lost, the steps and
/// reductions of the others wait for company; if it does not come in time, the program ends.
/// </summary>
internal sealed class KeepingLoop(Simulator simulator, SimulatedPeer peer)
{
    public const int ConnectTimeoutMs = 40_000;

    private const int CallTimeoutMs = 20_000;
    private const ulong ReduceTag = 1;
    private const int Elements = 500;
    private const int FailedSyncsMax = 5;

    private Scenario Scenario => simulator.Scenario;

    public async Task RunAsync()
    {
        try
        {
            await peer.ConnectAsync().ConfigureAwait(false);
            for (var done = 0; done < Scenario.Steps;)
            {
                if (await peer.StepAsync(CallTimeoutMs).ConfigureAwait(false) && Scenario.Syncs != SyncPolicy.Never)
                {
                    await Synchronise().ConfigureAwait(false);
                }

                if (await Reduce().ConfigureAwait(false))
                {
                    peer.State.Advance();
                    done++;
                }
            }

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

    private async Task Synchronise()
    {
        for (var failed = 0; failed < FailedSyncsMax; failed++)
        {
            var outcome = await peer.Synchronise(SyncStrategy.EnforcePopular, CallTimeoutMs, SyncMistake.None).Completion.ConfigureAwait(false);
            if (outcome.Succeeded)
            {
                peer.State.Revision = peer.State.Revision.Next();
                return;
            }

            if (outcome.Code == ErrorCode.RevisionMismatch)
            {
                peer.State.Revision = default; // The group is elsewhere than this peer's checkpoint.
            }
            else if (outcome.Code != ErrorCode.SyncFailed)
            {
                throw Failures.Of(outcome);
            }
        }

        throw new CollectiveException(ErrorCode.SyncFailed, "too often");
    }

    /// <summary>Whether the step was reduced; else newcomers have come, and all go back to the top.</summary>
    private async Task<bool> Reduce()
    {
        while (true)
        {
            var pending = peer.Launch(ReduceTag, Elements, CallTimeoutMs, inPlace: true);
            var outcome = await pending.Completion.ConfigureAwait(false);
            if (outcome.Succeeded)
            {
                Ledger.Require(pending.Contributors >= Scenario.KeptMinimum, $"{peer.Name} has reduced with {pending.Contributors} peers, and must have {Scenario.KeptMinimum}");
                return true;
            }

            if (outcome.Code == ErrorCode.TooFewPeers)
            {
                return false;
            }

            if (outcome.Code != ErrorCode.OperationAborted)
            {
                throw Failures.Of(outcome);
            }
        }
    }
}
