namespace Collective.Stress.Demo;

/// <summary>
/// Brings every peer of the world to the same state: those who have the newest one keep it, newcomers get it. Two all-reduces
/// do it. The first finds out who has what; in the second, one holder contributes its state and all others contribute zeros,
/// so that the sum is the state. States are added as whole numbers, where nothing is ever rounded: x + 0 + 0 is x, bit for bit.
/// </summary>
internal sealed class Handover(Communicator communicator, TrainingState state)
{
    private const ulong SurveyTag = 1;
    private const ulong StateTag = 2;

    // More than all peers of a demo can die in one handover.
    private const int AttemptsMax = 32;

    private readonly uint[] _words = new uint[state.WordCount];
    private bool _hasState;

    /// <summary>To be called by all peers of the world at once. True if the state of this peer came from another.</summary>
    public async Task<bool> RunAsync(CancellationToken cancellationToken)
    {
        for (var attempt = 0; attempt < AttemptsMax; attempt++)
        {
            try
            {
                if (await TryRunAsync(cancellationToken) is { } received)
                {
                    _hasState = true;
                    return received;
                }
            }
            catch (CollectiveException error) when (error.Code == ErrorCode.TooFewPeers)
            {
                // Nobody else is left: what this peer has is the state.
                _hasState = true;
                return false;
            }
        }

        throw new InvalidOperationException($"The handover failed {AttemptsMax} times in a row.");
    }

    /// <summary>One attempt; null if the world changed in between, which all peers see alike.</summary>
    private async Task<bool?> TryRunAsync(CancellationToken cancellationToken)
    {
        if (await SurveyAsync(cancellationToken) is not { } surveyed)
        {
            return null;
        }

        if (!surveyed.IsNeeded)
        {
            return false;
        }

        Array.Clear(_words);
        if (surveyed.World.Rank == surveyed.DonorRank)
        {
            state.CopyTo(_words);
        }

        var result = await ReduceAsync<uint>(_words, ReduceOperation.Sum, StateTag, cancellationToken);

        // If the donor died between the two all-reduces, the second one ran without it and added up nothing but zeros. It
        // also ran in another epoch then, and every peer that took part sees that.
        if (result.World.Epoch != surveyed.World.Epoch)
        {
            return null;
        }

        if (_hasState)
        {
            return false;
        }

        state.CopyFrom(_words);
        return true;
    }

    /// <summary>
    /// Asks everybody, with one small all-reduce, whether a state has to be handed over and who does it. Null if the world
    /// changed while they were being asked: ranks of two epochs cannot be compared.
    /// </summary>
    internal async Task<Survey?> SurveyAsync(CancellationToken cancellationToken)
    {
        var world = communicator.World;
        var answer = new SurveyAnswer(world.Epoch.Value, _hasState, (ulong)world.Rank, (ulong)state.StepsDone).ToWords();
        var result = await ReduceAsync<ulong>(answer, ReduceOperation.Max, SurveyTag, cancellationToken);

        // All peers hold the same words now, so they all decide alike.
        var (epochMin, epochMax) = SurveyAnswer.Extremes(answer, SurveyAnswer.EpochAt);
        if (epochMin != epochMax || epochMax != result.World.Epoch.Value)
        {
            return null;
        }

        var (stepsDoneMin, stepsDoneMax) = SurveyAnswer.Extremes(answer, SurveyAnswer.StepsDoneAt);
        var someoneHasState = answer[SurveyAnswer.HasStateAt] == 1;
        var someoneIsNew = answer[SurveyAnswer.IsNewAt] == 1;
        if (someoneHasState && stepsDoneMin != stepsDoneMax)
        {
            throw new InvalidOperationException($"Peers with a state disagree: one did {stepsDoneMin} steps, another {stepsDoneMax}.");
        }

        // At the start of a run everybody is new, and begins with the state that follows from the seed.
        var (donorRank, _) = SurveyAnswer.Extremes(answer, SurveyAnswer.RankAt);
        return new Survey(someoneHasState && someoneIsNew, (int)donorRank, result.World);
    }

    /// <summary>
    /// Repeats an aborted call before anything else is called: a peer that had not entered it when another died hears of no abort and
    /// waits in this very call.
    /// </summary>
    private async Task<AllReduceResult> ReduceAsync<T>(Memory<T> buffer, ReduceOperation operation, ulong tag, CancellationToken cancellationToken)
        where T : unmanaged
    {
        for (var attempt = 1; ; attempt++)
        {
            try
            {
                return await communicator.AllReduceAsync(buffer, operation, tag, cancellationToken: cancellationToken);
            }
            catch (CollectiveException error) when (error.Code == ErrorCode.OperationAborted && attempt < AttemptsMax)
            {
                // A peer died.
            }
        }
    }

    /// <summary>What a survey found, the same on every peer.</summary>
    internal readonly record struct Survey(bool IsNeeded, int DonorRank, World World);

    /// <summary>
    /// What one peer contributes to the survey. The operation is "max"; where the smallest value is wanted as well, the
    /// complement goes along, which is largest where the value is smallest.
    /// </summary>
    private readonly record struct SurveyAnswer(ulong Epoch, bool HasState, ulong Rank, ulong StepsDone)
    {
        public const int EpochAt = 0;
        public const int RankAt = 2;
        public const int StepsDoneAt = 4;
        public const int HasStateAt = 6;
        public const int IsNewAt = 7;

        public ulong[] ToWords() => HasState
            ? [Epoch, ~Epoch, Rank, ~Rank, StepsDone, ~StepsDone, 1, 0]
            : [Epoch, ~Epoch, 0, 0, 0, 0, 0, 1];

        public static (ulong Min, ulong Max) Extremes(ulong[] words, int at) => (~words[at + 1], words[at]);
    }
}
