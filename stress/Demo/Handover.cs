namespace Collective.Stress.Demo;

/// <summary>What a handover brought to this peer.</summary>
/// <param name="Received">Whether any of its state came from others.</param>
/// <param name="Bytes">How much.</param>
/// <param name="Donors">From how many peers.</param>
internal readonly record struct HandoverResult(bool Received, long Bytes, int Donors);

/// <summary>
/// Brings every peer of the world to the same state: those who have the newest one keep it, newcomers get it, from all the others at once. One call of the library does
/// it. The library counts handovers: newcomers, who have not been in one, follow those who have.
/// </summary>
internal sealed class Handover(Communicator communicator, TrainingState state, IProgress<SharedStateProgress>? progress = null)
{
    // More than all peers of a demo can die in one handover.
    private const int AttemptsMax = 32;

    private readonly SharedState _shared = Share(state);

    /// <summary>To be called by all peers of the world at once.</summary>
    public async Task<HandoverResult> RunAsync(CancellationToken cancellationToken)
    {
        for (var attempt = 1; ; attempt++)
        {
            try
            {
                var result = await communicator.SynchronizeSharedStateAsync(_shared, progress: progress, cancellationToken: cancellationToken);
                return new HandoverResult(result.KeysReceived.Count > 0, result.BytesReceived, result.Donors.Count);
            }
            catch (CollectiveException error) when (error.Code == ErrorCode.SyncFailed && attempt < AttemptsMax)
            {
                // Another peer could not take part to the end; nothing was changed.
            }
        }
    }

    private static SharedState Share(TrainingState state)
    {
        var shared = new SharedState();
        shared.Add<int>("steps done", state.Counters);
        shared.Add<float>("parameters", state.Parameters);
        shared.Add<float>("momentum", state.Momentum);
        return shared;
    }
}
