using Collective.Stress.Processes;

namespace Collective.Stress.Demo;

/// <summary>
/// Ends this process by SIGKILL exactly in the middle of one all-reduce. The library calls
/// <see cref="OnProtocolPoint"/> at each point of the protocol, on the thread that does the work.
/// </summary>
internal sealed class Victim(Action lastWord)
{
    private int _segmentsLeft;
    private bool _isArmed;

    /// <summary>
    /// From here on the process is going to die in its next all-reduce, after it received as many segments as there are
    /// other peers: that is the end of the reduce-scatter, when the contribution of every peer is on its way and no peer
    /// has a result yet.
    /// </summary>
    public void Arm(int worldSize)
    {
        Volatile.Write(ref _segmentsLeft, worldSize - 1);
        Volatile.Write(ref _isArmed, true);
    }

    /// <summary>The probe of the communicator.</summary>
    public void OnProtocolPoint(string point)
    {
        if (point == "segment-received" && Volatile.Read(ref _isArmed) && Interlocked.Decrement(ref _segmentsLeft) == 0)
        {
            lastWord();
            SelfKill.Now();
        }
    }
}
