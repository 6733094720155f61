using Collective.Stress.Processes;

namespace Collective.EndToEnd.Peer;

/// <summary>A guarantee did not hold.</summary>
internal sealed class BrokenPromiseException(string message) : Exception(message);

/// <summary>
/// The loop of the peer: each round updates the topology, agrees on the step, and reduces. Whatever is aborted is repeated; a peer that finds itself alone
/// begins its round again with the agreement, because that is the first call of a newcomer. All peers make the same sequence of calls.
/// </summary>
internal sealed class Rounds(Communicator communicator, Settings settings)
{
    private const ulong AgreementTag = 1;
    private const ulong SmallTag = 2;
    private const ulong BulkTag = 3;
    private const int SmallElements = 1000;

    private readonly TaskCompletionSource _go = new(TaskCreationOptions.RunContinuationsAsynchronously);
    private readonly ulong[] _small = new ulong[SmallElements];
    private readonly ulong[] _bulk = new ulong[settings.BulkElements];
    private volatile bool _stop;
    private volatile bool _leaving;
    private ulong _step;

    public bool Leaving => _leaving;

    public void AskToStop() => _stop = true;

    public void Go() => _go.TrySetResult();

    public void Leave() => _leaving = true;

    public async Task Run()
    {
        if (settings.WaitForGo)
        {
            await _go.Task;
        }

        if (settings.Optimize)
        {
            Report.Line($"ring {string.Join(',', (await communicator.OptimizeTopologyAsync()).Peers)}");
        }

        for (var round = 1; !_leaving; round++)
        {
            if (await Round())
            {
                return;
            }

            if (round == settings.Rounds)
            {
                return;
            }

            await communicator.UpdateTopologyAsync();
        }
    }

    /// <summary>One round; true when the peers have agreed that it was the last one.</summary>
    private async Task<bool> Round()
    {
        while (true)
        {
            var last = await Agree();
            var pendingAnswered = !settings.AskPending || await AskPending();
            if (pendingAnswered && await Reduce(_small, SmallTag) && (_bulk.Length == 0 || await Reduce(_bulk, BulkTag)))
            {
                _step++;
                return last;
            }
        }
    }

    /// <summary>The step is the largest of any peer; the round is the last one if any peer wants that.</summary>
    private async Task<bool> Agree()
    {
        while (true)
        {
            var own = new ulong[] { _step, _stop ? 1ul : 0ul };
            var agreed = (ulong[])own.Clone();
            try
            {
                var result = await communicator.AllReduceAsync<ulong>(agreed, ReduceOperation.Max, AgreementTag);
                Committed("agreement", agreed[0], result);
                Require(agreed[0] >= _step && agreed[1] >= own[1], $"the agreed step {agreed[0]} is below this peer's {_step}");
                _step = agreed[0];
                return agreed[1] == 1;
            }
            catch (CollectiveException e) when (e.Code is ErrorCode.OperationAborted or ErrorCode.TooFewPeers)
            {
                Report.Line($"{e.Code} agreement {_step} {e.Message}");
                Require(agreed.AsSpan().SequenceEqual(own), $"after {e.Code} the agreement holds {string.Join(", ", agreed)} instead of {string.Join(", ", own)}");
                await FindCompany(e.Code);
            }
        }
    }

    private async Task FindCompany(ErrorCode code)
    {
        while (code == ErrorCode.TooFewPeers && communicator.World.WorldSize < 2)
        {
            await communicator.UpdateTopologyAsync();
        }
    }

    private async Task<bool> AskPending()
    {
        _ = await communicator.ArePeersPendingAsync();
        return communicator.World.WorldSize > 1;
    }

    /// <summary>Reduces this step's content in place until it commits; false when this peer has become alone meanwhile.</summary>
    private async Task<bool> Reduce(ulong[] buffer, ulong tag)
    {
        var name = tag == BulkTag ? "bulk" : "small";
        var own = communicator.Id;
        Content.Fill<ulong>(buffer, own, _step + tag);
        while (true)
        {
            try
            {
                var result = await communicator.AllReduceAsync<ulong>(buffer, ReduceOperation.Sum, tag);
                var wrong = Content.FirstWrong<ulong>(buffer, result.Contributors, _step + tag);
                Require(wrong < 0, $"{name} {_step}: element {wrong} is not the sum over the {result.WorldSize} contributors");
                Committed(name, _step, result);
                return true;
            }
            catch (CollectiveException e)
            {
                var wrong = Content.FirstWrong<ulong>(buffer, [own], _step + tag);
                Require(wrong < 0, $"{name} {_step}: after {e.Code} element {wrong} of the input was not restored");
                if (e.Code is not (ErrorCode.OperationAborted or ErrorCode.TooFewPeers))
                {
                    throw;
                }

                Report.Line($"{e.Code} {name} {_step} {e.Message}");
                if (communicator.World.WorldSize < 2)
                {
                    return false;
                }
            }
        }
    }

    private static void Committed(string name, ulong step, AllReduceResult result)
        => Report.Line($"committed {name} {step} epoch {result.World.Epoch} world {result.WorldSize} of {string.Join(",", result.Contributors.Select(p => p.ToShortString()))}");

    private static void Require(bool condition, string message)
    {
        if (!condition)
        {
            throw new BrokenPromiseException(message);
        }
    }
}
