using System.Runtime.InteropServices;
using Collective.Stress.Processes;

namespace Collective.Stress.Churn;

/// <summary>
/// The shared state of the churn program: content that follows from the step. Who has taken part before computes it and must receive nothing; a newcomer has something else and must
/// receive all of it. Whatever comes of a sync, the content is checked.
/// </summary>
internal sealed class ChurnState
{
    private const int Elements = 1024 * 1024;

    // What a newcomer has, and everybody in a group in which nobody has more.
    private const ulong NoStep = ulong.MaxValue;

    // Of a misfit: a revision that no run reaches.
    private const ulong RevisionTooHigh = 1UL << 40;

    private readonly ulong[] _tensor = new ulong[Elements];
    private readonly ulong[] _expected = new ulong[Elements];
    private readonly bool _skips;
    private readonly SharedState _shared = new();
    private ulong _next;
    private bool _isNewcomer = true;

    public ChurnState(MisfitKind? misfit = null)
    {
        _skips = misfit == MisfitKind.Revision;
        _shared.Add<ulong>(misfit == MisfitKind.Program ? "weights of another program" : "state", misfit == MisfitKind.Sizes ? _tensor.AsMemory(0, Elements / 2) : _tensor);
    }

    /// <summary>A stay in a run begins.</summary>
    public void Forget()
    {
        _next = 0;
        _isNewcomer = true;
    }

    /// <summary>Synchronises the state of a step. <paramref name="tell"/> hears what is wrong.</summary>
    public async Task<SharedStateSyncResult> SyncAsync(Communicator communicator, ulong step, IProgress<SharedStateProgress> progress, Action<string> tell)
    {
        var mine = _isNewcomer ? NoStep : step;
        Fill(_tensor, mine);
        _next = _skips ? RevisionTooHigh : _next;
        _shared.Revision = _next;
        try
        {
            var result = await communicator.SynchronizeSharedStateAsync(_shared, progress: progress);
            var isFirst = result.Revision is 0 or RevisionTooHigh; // A group of newcomers takes that of a misfit.
            Check(isFirst ? NoStep : step, "after a sync that succeeded", tell);
            if (!_isNewcomer && result.BytesReceived > 0)
            {
                tell($"{result.BytesReceived} bytes were received by a peer that had the content of step {step}");
            }

            _next = result.Revision + 1;
            _isNewcomer = false;
            return result;
        }
        catch (Exception)
        {
            Check(mine, "after a sync that failed", tell);
            if (_shared.Revision != _next)
            {
                tell($"a sync that failed has changed the revision from {_next} to {_shared.Revision}");
            }

            throw;
        }
    }

    private void Check(ulong step, string when, Action<string> tell)
    {
        Fill(_expected, step);
        var common = MemoryMarshal.AsBytes(_tensor.AsSpan()).CommonPrefixLength(MemoryMarshal.AsBytes(_expected.AsSpan()));
        if (common < Elements * sizeof(ulong))
        {
            tell($"{when} byte {common} of the shared state is not that of {(step == NoStep ? "a newcomer" : $"step {step}")}");
        }
    }

    private static void Fill(ulong[] target, ulong step) => Content.Fill<ulong>(target, default, step);
}
